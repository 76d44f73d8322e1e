"""What `agent.precision=auto` is on this machine."""

from __future__ import annotations

import functools
import time

import torch
from torch import nn

IMAGES = (64, 32, 32, 32)  # [M, C, H, W], as in the middle of the encoder
ROUNDS = 5
WORTH_IT = 1.2  # rounding is not taken on for less


@functools.cache
def encoder_dtype(device: str) -> torch.dtype:
    """Return bfloat16 where the encoder is faster in it, else float32.

    Args:
        device: `cuda` or `cpu`.
    """
    if device == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        # Without these instructions it is emulated. With them alone it is twice as fast as float32
        # on AMD's Zen 4 and slower on Intel's Xeons: no flag tells, so it is tried.
        fast = torch.cpu._is_avx512_bf16_supported() and _gain() > WORTH_IT
    return torch.bfloat16 if fast else torch.float32


@torch.inference_mode()
def _gain() -> float:
    """Return how much faster than in float32 a convolution is in bfloat16: some 0.1 s of work."""
    channels = IMAGES[1]
    generator = torch.Generator().manual_seed(0)  # torch's own is the network's
    images = torch.randn(IMAGES, generator=generator).to(memory_format=torch.channels_last)
    with torch.random.fork_rng(devices=[]):
        convolve = nn.Conv2d(channels, channels, 3, padding=1)
    convolve.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):  # in turns: what disturbs one disturbs the other
        for coarse, times in seconds.items():
            with torch.autocast("cpu", torch.bfloat16, enabled=coarse):
                started = time.perf_counter()
                convolve(images)
                times.append(time.perf_counter() - started)
    return min(seconds[False]) / min(seconds[True])
