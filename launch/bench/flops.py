"""Count floating-point operations, and measure the best rates that a device reaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import agents.ops.delta
import agents.ops.srwm  # noqa: F401  (both register torch.ops)
from launch.machine.timing import Work, rounds, wall_clock

# A backward pass has two products for each of the forward pass, so twice as many operations.
BACKWARD = 2


def fast_weight_flops(matrices: Sequence[int], steps: int) -> int:
    """Return the operations of a forward pass with matrices [B, H, ...].

    A step reads a matrix with two vectors and adds an outer product to it: three multiplications
    and three additions for each element; the rest is small beside that. What a kernel computes
    again does not count.
    """
    return 6 * math.prod(matrices) * steps


def count_flops(work: Work) -> int:
    """Return the operations of products and convolutions in `work`, those of our kernels included.

    Torch sees none in an LSTM that cuDNN or oneDNN run whole: these are left out.
    """
    ops = torch.ops
    formulas: dict[Any, Callable[..., int]] = {
        # The position of the matrices among the arguments, and how often the forward pass is done.
        ops.srwm.forward: _formula(3, 1),
        ops.srwm.backward: _formula(3, BACKWARD),
        ops.delta.forward: _formula(5, 1),
        ops.delta.backward: _formula(4, BACKWARD),
    }
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        work()
    return counter.get_total_flops()


def _formula(matrices: int, times: int) -> Callable[..., int]:
    """Return a formula of the shapes of an op's arguments, the second of which is [T, ...]."""

    def flops(*shapes: Any, **_: Any) -> int:
        return times * fast_weight_flops(shapes[matrices], steps=shapes[1][0])

    return flops


def matmul_rate(dtype: torch.dtype, device: torch.device, seconds: float) -> float:
    """Return the FLOP/s of a product of two large square matrices, the best of many."""
    size = 8192 if device.type == "cuda" else 2048
    left, right = torch.randn(2, size, size, device=device).to(dtype)
    out = torch.empty_like(left)
    return 2 * size**3 / _fastest(lambda: torch.mm(left, right, out=out), device, seconds)


def copy_rate(device: torch.device, seconds: float) -> float:
    """Return the bytes/s of a large copy from the host to the device, the best of many.

    To a GPU it is from pinned memory, which is the fastest; on a CPU it is within its memory.
    """
    source = torch.ones(1 << 28, dtype=torch.uint8, pin_memory=device.type == "cuda")
    target = torch.empty_like(source, device=device)
    return source.nbytes / _fastest(lambda: target.copy_(source), device, seconds)


def _fastest(work: Work, device: torch.device, seconds: float) -> float:
    """Return the seconds of the fastest call: other work on the machine can only slow it."""
    work()
    times = []
    for _ in rounds(seconds):
        started = wall_clock(device)
        work()
        times.append(wall_clock(device) - started)
    return min(times)
