"""The delta rule on fast weights as one differentiable function of a whole unroll."""

from __future__ import annotations

from torch import Tensor

from agents.ops.delta import fused, reference

__all__ = ["delta"]


def delta(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, first: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Run fast weights under the delta rule over an unroll: `reference.delta`, fused if it can be.

    The fused kernel takes float32 weights, sequences that are all float32 or all bfloat16, and
    keys up to size 32. All else (float64, a machine without a compiler) is left to the reference.
    """
    reference.check(q, k, v, beta, first, weights)
    if fused.available(q, k, v, beta, weights):
        return fused.delta(q, k, v, beta, first, weights)
    return reference.delta(q, k, v, beta, first, weights)
