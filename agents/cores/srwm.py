"""The self-referential weight matrix as a memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.cores.base import FastWeights, State
from agents.cores.stack import Memory
from agents.ops.srwm import LEARNING_RATES, reference, srwm

BLOCKS = ("y", "q", "k", "beta")
"""The row blocks of the matrix, each with a learning rate of its own."""


class SRWM(Memory):
    """Heads that modify themselves (Irie et al. 2022, section 3).

    The input is not normalised but goes through the softmax of its head, as in the paper's RL code.
    The state is the shift of the matrices from their learnt base [B, H, R, D], so that a learner's
    update of the base composes with a state that a worker has carried over.
    """

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__(hidden_size, heads)
        self.base = draw_base(heads, self.head_size, outputs=self.head_size)

    def initial_state(self, batch: int) -> State:
        return (self.base.new_zeros(batch, *self.base.shape),)

    def remember(self, h: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        y, shift = srwm(self.base, self.split(h).softmax(-1), first, *state)
        return y, (shift,)

    def introspect(self, h: Tensor, first: Tensor, state: State) -> list[FastWeights]:
        return [tell(self.base, self.split(h).softmax(-1), first, *state)]


def draw_base(heads: int, head_size: int, outputs: int) -> nn.Parameter:
    """Draw the base weights [H, E + 2 D + 4, D] of `heads` matrices as the paper does.

    normal(0, 1/sqrt(D)); in RL the learning rates' rows have mean 0 like the others.
    """
    rows = outputs + 2 * head_size + LEARNING_RATES
    return nn.Parameter(torch.randn(heads, rows, head_size) * head_size**-0.5)


def tell(base: Tensor, x: Tensor, first: Tensor, shift: Tensor) -> FastWeights:
    """Tell what a self-referential weight matrix does in `srwm` of the same arguments."""
    steps = list(reference.steps(base, x, first, shift))
    rates = torch.stack([step.rates for step in steps]).unbind(-1)
    return FastWeights(
        rates=dict(zip(BLOCKS, rates, strict=True)),
        # The norm of an outer product is the product of the norms.
        change=torch.stack([step.update.norm(dim=-1) * step.key.norm(dim=-1) for step in steps]),
        shift=torch.stack([step.shift.norm(dim=(-2, -1)) for step in steps])
        / base.norm(dim=(-2, -1)),
        key_entropy=entropy(torch.stack([step.key for step in steps])),
        query_entropy=entropy(torch.stack([step.query for step in steps])),
    )


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of [..., D] in nats, [...]."""
    return torch.special.entr(probabilities).sum(-1)
