"""The delta rule as one kernel forward and one backward for a whole unroll, under autograd.

The forward pass keeps `v - W k` of each step, [T, B, H, E], and the weights every `SEGMENT` steps.
The backward pass goes from the last weights back to the first by undoing one update after another.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from agents.ops import kernels


def available(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, weights: Tensor) -> bool:
    """Tell whether the fused kernel can run on these tensors (it is compiled if need be)."""
    return kernels.available(_spec(q, weights), weights=(weights,), sequences=(q, k, v, beta))


def delta(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, first: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute what the reference computes; q, k, v, beta and y may also be bfloat16, all five."""
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in (q, k, v, beta, weights))
    y, weights, _, _ = _forward(q, k, v, beta, first, weights, learns)
    return y, weights


def _spec(q: Tensor, weights: Tensor) -> kernels.Spec:
    outputs, size = weights.shape[-2:]
    return kernels.Spec("delta.cpp", outputs, size, outputs, q.dtype)


@torch.library.custom_op("delta::forward", mutates_args=())
def _forward(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, first: Tensor, weights: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    q, k, v, beta, first, weights = (t.contiguous() for t in (q, k, v, beta, first, weights))
    results = _allocate(q, k, v, beta, first, weights, keep)
    pointers = (q, k, v, beta, first, weights, *results)
    kernels.run(_spec(q, weights), "delta_forward", pointers, q.shape[:3])
    return results


@_forward.register_fake
def _allocate(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, first: Tensor, weights: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    checkpoints = ((v.shape[0] - 1) // kernels.SEGMENT, *weights.shape)
    return (
        torch.empty_like(v, memory_format=torch.contiguous_format),
        torch.empty_like(weights, memory_format=torch.contiguous_format),
        weights.new_empty(v.shape if keep else (0,)),
        weights.new_empty(checkpoints if keep else (0,)),
    )


@torch.library.custom_op("delta::backward", mutates_args=())
def _backward(
    q: Tensor,
    k: Tensor,
    dy: Tensor,
    beta: Tensor,
    weights: Tensor,
    first: Tensor,
    last_weights: Tensor,
    kept: Tensor,
    checkpoints: Tensor,
    d_last_weights: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    q, k, dy, beta, weights, first = (t.contiguous() for t in (q, k, dy, beta, weights, first))
    if d_last_weights is not None:
        d_last_weights = d_last_weights.contiguous()
    gradients = _allocate_gradients(q, k, dy, beta, weights)
    pointers = (q, k, beta, first, weights, last_weights, kept, checkpoints, dy, d_last_weights)
    kernels.run(_spec(q, weights), "delta_backward", (*pointers, *gradients), q.shape[:3])
    return gradients


@_backward.register_fake
def _allocate_gradients(
    q: Tensor, k: Tensor, dy: Tensor, beta: Tensor, weights: Tensor, *_: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    contiguous = torch.contiguous_format
    return (
        torch.empty_like(q, memory_format=contiguous),
        torch.empty_like(k, memory_format=contiguous),
        torch.empty_like(dy, memory_format=contiguous),
        torch.empty_like(beta, memory_format=contiguous),
        torch.empty_like(weights, memory_format=contiguous),
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    q, k, _, beta, first, weights, _ = inputs
    _, last_weights, kept, checkpoints = output
    ctx.set_materialize_grads(False)  # there is none for what is kept, and it is large
    ctx.save_for_backward(q, k, beta, first, weights, last_weights, kept, checkpoints)


def _differentiate(
    ctx: Any, dy: Tensor | None, d_last_weights: Tensor | None, *_: None
) -> tuple[Tensor, Tensor, Tensor, Tensor, None, Tensor, None]:
    q, k, beta, first, weights, last_weights, kept, checkpoints = ctx.saved_tensors
    if dy is None:
        dy = torch.zeros_like(kept, dtype=q.dtype)
    dq, dk, dv, d_beta, d_weights = _backward(
        q, k, dy, beta, weights, first, last_weights, kept, checkpoints, d_last_weights
    )
    return dq, dk, dv, d_beta, None, d_weights, None


_forward.register_autograd(_differentiate, setup_context=_keep)
