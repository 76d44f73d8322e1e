"""The Delta Net as a memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.cores.base import RowBlock, State, row_blocks
from agents.cores.fast_weights import FastWeights, entropy
from agents.cores.stack import Memory
from agents.ops.delta import delta
from agents.ops.reset import reset

# The smallest sum that keys and queries are divided by: elu(x) + 1 is exactly 0 far below zero.
EPSILON = 1e-5


class DeltaNet(Memory):
    """Heads of fast weights under the delta rule (Schlag et al. 2021, section 4.2).

    As in the paper's RL code (Irie et al. 2021, 2022): the input is normalised, one projection
    without bias gives each head its query, key, value and learning rate, `phi` is elu + 1
    normalised by its sum. The state is the fast weights [B, H, D, D].
    """

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__(hidden_size, heads)
        self.normalise = nn.LayerNorm(hidden_size)
        self.programme = nn.Linear(hidden_size, heads * (3 * self.head_size + 1), bias=False)

    def initial_state(self, batch: int) -> State:
        size = self.head_size
        return (self.project.weight.new_zeros(batch, self.heads, size, size),)

    def remember(self, h: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        y, weights = delta(*self._programmes(h), first, *state)
        return y, (weights,)

    def introspect(self, h: Tensor, first: Tensor, state: State) -> list[FastWeights]:
        q, k, v, beta = self._programmes(h)
        (weights,) = state
        change, shift = [], []
        for t in range(len(h)):
            now = slice(t, t + 1)
            before = reset(weights, first[t])
            # The norm of an outer product is the product of the norms; the difference of the
            # weights before and after would have few digits where little changes.
            error = v[t] - (before @ k[t].unsqueeze(-1)).squeeze(-1)
            change.append(beta[t] * error.norm(dim=-1) * k[t].norm(dim=-1))
            _, weights = delta(q[now], k[now], v[now], beta[now], first[now], before)
            shift.append(weights.norm(dim=(-2, -1)))
        return [
            FastWeights(
                rates={"beta": beta},
                change=torch.stack(change),
                shift=torch.stack(shift),
                key_entropy=entropy(k),
                query_entropy=entropy(q),
                norm=torch.stack(shift),
                size=self.head_size,
            )
        ]

    def row_blocks(self) -> dict[str, RowBlock]:
        return row_blocks(self.programme.weight, 0, self._rows())

    def _programmes(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return q, k, v [T, B, H, D] and beta [T, B, H] for h [T, B, hidden]."""
        qkvb = self.programme(self.normalise(h))
        q, k, v, beta = qkvb.split([*self._rows().values()], dim=-1)
        return self._phi(q), self._phi(k), self.split(v), beta.sigmoid()

    def _rows(self) -> dict[str, int]:
        """Return how many rows of `programme` make what.

        All heads' queries, then all keys, values and rates: whole rows are faster to work on.
        """
        hidden = self.heads * self.head_size
        return {"q": hidden, "k": hidden, "v": hidden, "beta": self.heads}

    def _phi(self, x: Tensor) -> Tensor:
        """Map [..., hidden] to elu(x) + 1, divided by its sum over each head, [..., H, D]."""
        positive = self.split(nn.functional.elu(x) + 1)
        return positive / (positive.sum(-1, keepdim=True) + EPSILON)
