"""The precision in which an encoder computes on a device."""

from __future__ import annotations

import torch

from agents.cpu_info import cpu_fields


def encoder_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type that `agent.precision` stands for on a device."""
    if precision != "auto":
        return getattr(torch, precision)
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        # A rule, because a stopwatch may tell the processes of one run different things. Without
        # AVX512_BF16 bfloat16 is emulated. With it AMD is twice as fast as in float32, and Intel
        # without AMX slower (measured, see docs/results); Intel with AMX was not measured.
        fast = torch.cpu._is_avx512_bf16_supported() and (
            torch.cpu._is_amx_tile_supported() or "AuthenticAMD" in cpu_fields("vendor_id")
        )
    return torch.bfloat16 if fast else torch.float32
