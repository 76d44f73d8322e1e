"""What fast weights do at each step of an unroll: rates, changes, entropies."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from agents.ops.srwm import reference


class FastWeights(NamedTuple):
    """What one layer of fast weights did at each step of an unroll, without gradients.

    T steps, B environments, H heads; all float32 unless the core is of another type.
    """

    rates: dict[str, Tensor]
    """From a row block (`y`, `q`, `k` and `beta`; in the Delta Net only `beta`) to the rate of its
    update that the layer chose, [T, B, H], in 0..1."""
    change: Tensor
    """[T, B, H], the Frobenius norm of the update that the step made."""
    shift: Tensor
    """[T, B, H], the Frobenius norm of what is carried after the step, relative to the norm of the
    base weights; absolute in the Delta Net, which has no base."""
    key_entropy: Tensor
    """[T, B, H], in nats, of the key that the update was written to; log D if it is uniform."""
    query_entropy: Tensor
    """[T, B, H], in nats, of the query."""
    norm: Tensor
    """[T, B, H], the Frobenius norm of the whole matrix after the step."""
    size: int
    """D, the length of a key and of a query."""

    @property
    def relative_change(self) -> Tensor:
        """[T, B, H], `change` over `norm`."""
        return self.change / self.norm


BLOCKS = ("y", "q", "k", "beta")
"""The row blocks of the matrix, each with a learning rate of its own."""


def introspect_srwm(base: Tensor, x: Tensor, first: Tensor, shift: Tensor) -> FastWeights:
    """Return what a self-referential weight matrix does in `srwm` of the same arguments."""
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
        norm=torch.stack([(base + step.shift).norm(dim=(-2, -1)) for step in steps]),
        size=base.shape[-1],
    )


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of [..., D] in nats, [...]."""
    return torch.special.entr(probabilities).sum(-1)
