"""An encoder of vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from agents.encoders.base import FEATURES, compute_dtype


class MLPEncoder(nn.Module):
    """Two hidden layers on a flat observation, or on a uint8 image scaled to 0..1."""

    def __init__(self, observation_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.hidden = nn.Linear(math.prod(observation_shape), 64)
        self.features = nn.Linear(64, FEATURES)

    def forward(self, obs: Tensor) -> Tensor:
        """Map obs [M, ...] to features [M, FEATURES]."""
        x = obs.flatten(1).to(compute_dtype(obs, self.hidden.weight))
        if obs.dtype == torch.uint8:
            x = x / 255
        return torch.relu(self.features(torch.relu(self.hidden(x))))
