"""What every recurrent core is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.cores.fast_weights import FastWeights

State = tuple[Tensor, ...]
"""What a core carries from step to step: tensors [B, ...], zero at an episode's start."""


class RowBlock(NamedTuple):
    """Neighbouring rows of a parameter that fast weights start from or are made by."""

    parameter: Tensor
    dim: int
    """The dimension of the parameter that counts its rows."""
    start: int
    size: int

    def value(self) -> Tensor:
        """Return the rows, without a gradient and not copied."""
        return self.parameter.detach().narrow(self.dim, self.start, self.size)

    def gradient(self) -> Tensor:
        """Return the gradient of the rows; zeros if there is none yet."""
        gradient = self.parameter.grad
        if gradient is None:
            return torch.zeros_like(self.value())
        return gradient.narrow(self.dim, self.start, self.size)


def row_blocks(parameter: Tensor, dim: int, sizes: Mapping[str, int]) -> dict[str, RowBlock]:
    """Name the blocks of `sizes` rows that `parameter` consists of, in this order, along `dim`."""
    starts = accumulate(sizes.values(), initial=0)
    return {
        name: RowBlock(parameter, dim, start, size)
        for (name, size), start in zip(sizes.items(), starts, strict=False)
    }


class Core(nn.Module, ABC):
    """A memory between the encoder and the heads.

    One step is an unroll of length 1, so acting and learning share one path. Resets happen inside:
    a step that opens an episode is computed from the initial state (`agents.ops.reset`).
    """

    output_size: int

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """Return zeros, each [batch, ...], float32, on the core's device."""

    @abstractmethod
    def forward(self, x: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over an unroll.

        Args:
            x: [T, B, F], float32 features.
            first: [T, B], bool; True where a step opens an episode.
            state: what the previous unroll returned, or `initial_state(B)`.

        Returns:
            y [T, B, output_size] and the state after the last step.
        """

    def introspect(self, x: Tensor, first: Tensor, state: State) -> list[FastWeights]:
        """Return what the fast weights of each layer do in `forward` of the same arguments.

        Computed step by step, so meant for a few environments. A core without fast weights has
        nothing to report: its list is empty.
        """
        return []

    def row_blocks(self) -> list[dict[str, RowBlock]]:
        """Name the rows that the fast weights of each layer start from or are made by.

        The layers are those of `introspect`; each maps a block's name to its rows.
        """
        return []
