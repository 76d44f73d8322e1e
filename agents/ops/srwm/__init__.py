"""The self-referential weight matrix as one differentiable function of a whole unroll."""

from agents.ops.srwm.reference import srwm

__all__ = ["srwm"]
