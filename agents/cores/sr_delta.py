"""A self-referential weight matrix that programmes a Delta Net."""

from __future__ import annotations

from torch import Tensor

from agents.cores.base import FastWeights, RowBlock, State
from agents.cores.head_input import HeadInputName, head_input
from agents.cores.srwm import blocks_of_base, draw_base, tell
from agents.cores.stack import Memory
from agents.ops.delta import delta
from agents.ops.srwm import srwm


class SRDelta(Memory):
    """The paper's "SR-Delta": a head's SRWM emits query, key, value and learning rate of its delta
    rule.

    The matrix has E = 3 D + 1 output rows. Queries and keys go through a softmax, as all else in
    the paper's code of this core, and not through the Delta Net's elu + 1. The state is the
    matrices' shift [B, H, R, D] and the fast weights [B, H, D, D]. Introspection tells of the
    matrices, which modify themselves, and not of the fast weights that they programme.
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
        outputs = 3 * self.head_size + 1
        self.base = draw_base(heads, self.head_size, outputs, query_scale, key_scale)

    def initial_state(self, batch: int) -> State:
        size = self.head_size
        return (
            self.base.new_zeros(batch, *self.base.shape),
            self.base.new_zeros(batch, self.heads, size, size),
        )

    def remember(self, h: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        shift, weights = state
        qkvb, shift = srwm(self.base, self.inputs(h), first, shift)
        size = self.head_size
        q, k, v, beta = qkvb.split([size, size, size, 1], dim=-1)
        beta = beta.squeeze(-1).sigmoid()
        y, weights = delta(q.softmax(-1), k.softmax(-1), v, beta, first, weights)
        return y, (shift, weights)

    def introspect(self, h: Tensor, first: Tensor, state: State) -> list[FastWeights]:
        shift, _ = state
        return [tell(self.base, self.inputs(h), first, shift)]

    def row_blocks(self) -> dict[str, RowBlock]:
        return blocks_of_base(self.base)
