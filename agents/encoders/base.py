"""What all encoders share: the width of their output, and the type in which they compute."""

from __future__ import annotations

import torch
from torch import Tensor

FEATURES = 256  # the width of every encoder's output, as in the paper


def compute_dtype(x: Tensor, weight: Tensor) -> torch.dtype:
    """Return the type in which a layer with `weight` computes on `x`'s device."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    return weight.dtype
