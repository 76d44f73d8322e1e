"""Convolutional encoders of uint8 images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.encoders.base import FEATURES, compute_dtype


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a skip connection (IMPALA, Espeholt et al. 2018, figure 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map x [M, C, H, W] to the same shape."""
        return x + self.last(torch.relu(self.first(torch.relu(x))))


class ImageEncoder(nn.Module):
    """A convolutional trunk on uint8 images, then one hidden layer.

    An image arrives as [M, H, W, C]; seen as [M, C, H, W] that memory already is the channels-last
    layout, in which CPU and tensor-core convolutions are several times faster.
    """

    def __init__(self, trunk: nn.Module, observation_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.trunk = trunk
        height, width, channels = observation_shape
        size = trunk(torch.zeros(1, channels, height, width)).flatten(1).shape[1]
        self.features = nn.Linear(size, FEATURES)
        self.trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, obs: Tensor) -> Tensor:
        """Map obs [M, H, W, C], uint8, to features [M, FEATURES]."""
        # 0..255 is exact even in bfloat16.
        x = obs.permute(0, 3, 1, 2).to(compute_dtype(obs, self.features.weight)) / 255
        return torch.relu(self.features(self.trunk(x).flatten(1)))


def impala(observation_shape: tuple[int, ...]) -> ImageEncoder:
    """Build the 15-layer residual network of the IMPALA paper (stages of 16, 32, 32 channels)."""
    layers: list[nn.Module] = []
    inputs = observation_shape[2]
    for channels in (16, 32, 32):
        layers += [
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.MaxPool2d(3, stride=2, padding=1),
            ResidualBlock(channels),
            ResidualBlock(channels),
        ]
        inputs = channels
    return ImageEncoder(nn.Sequential(*layers, nn.ReLU()), observation_shape)


def impala_small(observation_shape: tuple[int, ...]) -> ImageEncoder:
    """Build a residual network of 6 convolutions that a CPU trains about 2.5 times faster.

    A stride of 2 at the start and one block a stage are what is saved. (The three convolutions of
    the DQN paper would be cheaper still, but struggle on ProcGen: Cobbe et al. 2020.)
    """
    trunk = nn.Sequential(
        nn.Conv2d(observation_shape[2], 16, 4, stride=2, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        ResidualBlock(16),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        ResidualBlock(32),
        nn.ReLU(),
    )
    return ImageEncoder(trunk, observation_shape)


def impala_tiny(observation_shape: tuple[int, ...]) -> ImageEncoder:
    """Build a residual network of 3 convolutions that a CPU trains twice as fast again.

    The image is cut into patches of 4 x 4 pixels, as vision transformers do, which one pooling and
    one residual block then combine.
    """
    trunk = nn.Sequential(
        nn.Conv2d(observation_shape[2], 32, 4, stride=4),
        nn.MaxPool2d(3, stride=2, padding=1),
        ResidualBlock(32),
        nn.ReLU(),
    )
    return ImageEncoder(trunk, observation_shape)
