"""The self-referential weight matrix as one differentiable function of a whole unroll."""

from __future__ import annotations

from torch import Tensor

from agents.ops.srwm import fused, reference
from agents.ops.srwm.reference import LEARNING_RATES

__all__ = ["LEARNING_RATES", "srwm"]


def srwm(base: Tensor, x: Tensor, first: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Run a self-referential weight matrix over an unroll: `reference.srwm`, fused where it can be.

    The fused kernel takes float32 weights with float32 or bfloat16 inputs and heads up to 32. All
    else (float64, a machine without a compiler) is left to the reference.
    """
    reference.check(base, x, first, shift)
    if fused.available(base, x, shift):
        return fused.srwm(base, x, first, shift)
    return reference.srwm(base, x, first, shift)
