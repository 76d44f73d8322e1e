"""What every recurrent core is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

State = tuple[Tensor, ...]
"""What a core carries from step to step: tensors [B, ...], zero at an episode's start."""


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
