"""Acting: the policy draws actions one step at a time."""

from __future__ import annotations

import torch
from torch import Tensor


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw actions [...] int64 from the categorical policy `logits` [..., A]."""
    flat = logits.flatten(0, -2).softmax(-1)
    return torch.multinomial(flat, 1, generator=generator).view(logits.shape[:-1])
