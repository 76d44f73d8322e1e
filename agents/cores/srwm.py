"""The self-referential weight matrix as a memory."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from agents.cores.base import RowBlock, State, row_blocks
from agents.cores.fast_weights import BLOCKS, FastWeights, introspect_srwm
from agents.cores.head_input import HeadInputName, head_input
from agents.cores.stack import Memory
from agents.ops.srwm import LEARNING_RATES, srwm


class SelfReferential(Memory):
    """A memory whose heads are matrices that modify themselves, `srwm` being what they compute.

    The first tensor of the state is the shift of the matrices from their learnt base [B, H, R, D],
    so that a learner's update of the base composes with a state that a worker has carried over.

    Args:
        hidden_size: of the layer's input and output.
        heads: H; each reads D = hidden_size / heads numbers.
        input: what a head reads, see `head_input`; the paper's RL code has "softmax".
        query_scale: initial size of the rows that make queries, see `draw_base`.
        key_scale: initial size of the rows that make keys.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        input: HeadInputName,
        query_scale: float,
        key_scale: float,
    ) -> None:
        super().__init__(hidden_size, heads)
        self.inputs = head_input(input, hidden_size, heads)
        self.base = draw_base(heads, self.head_size, self.outputs, query_scale, key_scale)

    @property
    @abstractmethod
    def outputs(self) -> int:
        """E, the output rows of each head's matrix."""

    def introspect(self, h: Tensor, first: Tensor, state: State) -> list[FastWeights]:
        return [introspect_srwm(self.base, self.inputs(h), first, state[0])]

    def row_blocks(self) -> dict[str, RowBlock]:
        return blocks_of_base(self.base)


class SRWM(SelfReferential):
    """Heads that modify themselves (Irie et al. 2022, section 3); each has D outputs."""

    @property
    def outputs(self) -> int:
        return self.head_size

    def initial_state(self, batch: int) -> State:
        return (self.base.new_zeros(batch, *self.base.shape),)

    def remember(self, h: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        y, shift = srwm(self.base, self.inputs(h), first, *state)
        return y, (shift,)


def draw_base(
    heads: int, head_size: int, outputs: int, query_scale: float, key_scale: float
) -> nn.Parameter:
    """Draw the base weights [H, E + 2 D + 4, D] of `heads` matrices.

    normal(0, 1/sqrt(D)) as in the paper, where also the learning rates' rows have mean 0 in RL. The
    rows of queries and of keys are then multiplied by a scale each (1 in the paper). Keys should
    be sharper than queries: see "Why keys are sharp" in `agents/cores/README.md`.
    """
    rows = outputs + 2 * head_size + LEARNING_RATES
    base = torch.randn(heads, rows, head_size) * head_size**-0.5
    queries, keys = base[:, outputs:].split([head_size, head_size + LEARNING_RATES], dim=1)
    queries *= query_scale
    keys[:, :head_size] *= key_scale
    return nn.Parameter(base)


def blocks_of_base(base: Tensor) -> dict[str, RowBlock]:
    """Name the row blocks of base weights [H, E + 2 D + 4, D]."""
    rows, size = base.shape[-2:]
    sizes = (rows - 2 * size - LEARNING_RATES, size, size, LEARNING_RATES)
    return row_blocks(base, -2, dict(zip(BLOCKS, sizes, strict=True)))
