"""A self-referential weight matrix that programmes a Delta Net."""

from __future__ import annotations

from torch import Tensor

from agents.cores.base import State
from agents.cores.srwm import SelfReferential
from agents.ops.delta import delta
from agents.ops.srwm import srwm


class SRDelta(SelfReferential):
    """The paper's "SR-Delta": a head's SRWM emits query, key, value and learning rate of its delta
    rule.

    The matrix has E = 3 D + 1 output rows. Queries and keys go through a softmax, as all else in
    the paper's code of this core, and not through the Delta Net's elu + 1. The state is the
    matrices' shift [B, H, R, D] and the fast weights [B, H, D, D]. Introspection tells of the
    matrices, which modify themselves, and not of the fast weights that they programme.
    """

    @property
    def outputs(self) -> int:
        return 3 * self.head_size + 1

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
