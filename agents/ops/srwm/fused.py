"""The SRWM as one kernel forward and one backward for a whole unroll, under torch's autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from agents.ops import kernels
from agents.ops.srwm.reference import LEARNING_RATES


def available(base: Tensor, x: Tensor, shift: Tensor) -> bool:
    """Tell whether the fused kernel can run on these tensors (it is compiled if need be)."""
    return kernels.available(_spec(base, x), weights=(base, shift), sequences=(x,))


def srwm(base: Tensor, x: Tensor, first: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Compute what the reference computes; x and y may also be bfloat16."""
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in (base, x, shift))
    y, shift, _, _ = _forward(base, x, first, shift, learns)
    return y, shift


def _spec(base: Tensor, x: Tensor) -> kernels.Spec:
    rows, size = base.shape[-2:]
    return kernels.Spec("srwm.cpp", rows, size, rows - 2 * size - LEARNING_RATES, x.dtype)


@torch.library.custom_op("srwm::forward", mutates_args=())
def _forward(
    base: Tensor, x: Tensor, first: Tensor, shift: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    base, x, first, shift = (t.contiguous() for t in (base, x, first, shift))
    y, last_shift, kept, checkpoints = _allocate(base, x, first, shift, keep)
    pointers = (base, x, first, shift, y, last_shift, kept, checkpoints)
    kernels.run(_spec(base, x), "srwm_forward", pointers, x.shape[:3])
    return y, last_shift, kept, checkpoints


@_forward.register_fake
def _allocate(
    base: Tensor, x: Tensor, first: Tensor, shift: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    steps, batch, heads, _ = x.shape
    spec = _spec(base, x)
    kept = (steps, batch, heads, 2 * spec.padded_rows) if keep else (0,)
    checkpoints = ((steps - 1) // kernels.SEGMENT, *shift.shape) if keep else (0,)
    return (
        x.new_empty(steps, batch, heads, spec.outputs),
        torch.empty_like(shift, memory_format=torch.contiguous_format),
        shift.new_empty(kept),
        shift.new_empty(checkpoints),
    )


@torch.library.custom_op("srwm::backward", mutates_args=())
def _backward(
    base: Tensor,
    x: Tensor,
    first: Tensor,
    shift: Tensor,
    last_shift: Tensor,
    kept: Tensor,
    checkpoints: Tensor,
    dy: Tensor,
    d_last_shift: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    base, x, first, shift, dy = (t.contiguous() for t in (base, x, first, shift, dy))
    if d_last_shift is not None:
        d_last_shift = d_last_shift.contiguous()
    # Each environment adds to the same base: their parts are summed here, in a fixed order.
    d_base, dx, d_shift = torch.empty_like(shift), torch.empty_like(x), torch.empty_like(shift)
    pointers = (base, x, first, shift, last_shift, kept, checkpoints, dy, d_last_shift)
    gradients = (d_base, dx, d_shift)
    kernels.run(_spec(base, x), "srwm_backward", (*pointers, *gradients), x.shape[:3])
    return d_base.sum(0), dx, d_shift


@_backward.register_fake
def _gradients_of(
    base: Tensor, x: Tensor, first: Tensor, shift: Tensor, *_: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    contiguous = torch.contiguous_format
    return (
        torch.empty_like(base, memory_format=contiguous),
        torch.empty_like(x, memory_format=contiguous),
        torch.empty_like(shift, memory_format=contiguous),
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    base, x, first, shift, _ = inputs
    _, last_shift, kept, checkpoints = output
    ctx.set_materialize_grads(False)  # there is none for what is kept, and it is large
    ctx.save_for_backward(base, x, first, shift, last_shift, kept, checkpoints)


def _differentiate(
    ctx: Any, dy: Tensor | None, d_last_shift: Tensor | None, *_: None
) -> tuple[Tensor, Tensor, None, Tensor, None]:
    base, x, first, shift, last_shift, kept, checkpoints = ctx.saved_tensors
    if dy is None:
        steps, batch, heads, _ = x.shape
        dy = x.new_zeros(steps, batch, heads, _spec(base, x).outputs)
    d_base, dx, d_shift = _backward(
        base, x, first, shift, last_shift, kept, checkpoints, dy, d_last_shift
    )
    return d_base, dx, None, d_shift, None


_forward.register_autograd(_differentiate, setup_context=_keep)
