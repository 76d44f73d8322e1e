"""Convolutional backbones of few-shot learning: Conv-4 and Res-12."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.classifier_config import BackboneConfig, Normalise, NormName
from agents.encoders.base import compute_dtype

SHRINKS = 16  # four poolings by 2

RES12_CHANNELS = {"res12": (64, 96, 128, 256), "res12_big": (64, 128, 256, 512)}
SLOPE = 0.1  # of Res-12's leaky rectifiers

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """A convolutional trunk on uint8 images.

    Seen as [M, C, H, W], an image [M, H, W, C] already has the channels-last layout, in which
    convolutions are faster.

    Args:
        trunk: from [M, C, H, W] to [M, ...].
        features: F, the numbers that the trunk makes of an image.
        input_dropout: share of the pixels that training sets to 0.
        normalise: `imagenet` subtracts ImageNet's mean colour and divides by its deviation.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, trunk: nn.Module, features: int, input_dropout: float, normalise: Normalise
    ) -> None:
        super().__init__()
        self.features = features
        self.drop = nn.Dropout(input_dropout)
        self.trunk = trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        imagenet = normalise == "imagenet"
        mean, deviation = (IMAGENET_MEAN, IMAGENET_DEVIATION) if imagenet else ((0.0,), (1.0,))
        for name, colour in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(colour).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [M, H, W, C], uint8, to features [M, F]."""
        dtype = compute_dtype(images, next(self.trunk.parameters()))
        x = images.permute(0, 3, 1, 2).to(dtype) / 255
        x = (x - self.mean.to(dtype)) / self.deviation.to(dtype)
        features: Tensor = self.trunk(self.drop(x)).flatten(1)
        return features


class Conv4Layer(nn.Sequential):
    """A layer of Conv-4, in the order of the paper's code; pooling before ReLU is the cheaper."""

    def __init__(self, inputs: int, channels: int, norm: NormName, dropout: float) -> None:
        super().__init__(
            nn.Conv2d(inputs, channels, 3, padding=1),
            _norm(norm, channels),
            nn.MaxPool2d(2),
            nn.Dropout(dropout),
            nn.ReLU(),
        )


class Res12Block(nn.Module):
    """Three convolutions beside a shortcut of one, then a pooling by 2."""

    def __init__(self, inputs: int, channels: int, config: BackboneConfig) -> None:
        super().__init__()
        drop = nn.Dropout2d if config.dropout_kind.startswith("2d") else nn.Dropout
        inner = config.dropout if config.dropout_kind.endswith("inblock") else 0.0
        self.branch = nn.Sequential(
            *_convolution(inputs, channels, 3, config.norm),
            nn.LeakyReLU(SLOPE),
            drop(inner),
            *_convolution(channels, channels, 3, config.norm),
            nn.LeakyReLU(SLOPE),
            drop(inner),
            *_convolution(channels, channels, 3, config.norm),
        )
        self.shortcut = nn.Sequential(*_convolution(inputs, channels, 1, config.norm))
        self.after = nn.Sequential(nn.LeakyReLU(SLOPE), nn.MaxPool2d(2), drop(config.dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Map x [M, C, H, W] to [M, channels, H // 2, W // 2]."""
        y: Tensor = self.after(self.branch(x) + self.shortcut(x))
        return y


def make_backbone(
    config: BackboneConfig, image_shape: tuple[int, ...], normalise: Normalise = "none"
) -> Backbone:
    """Build the backbone of a configuration, its weights drawn from torch's global generator.

    Conv-4 makes channels * (H // 16) * (W // 16) features of an image, Res-12 the mean over the
    picture of its last block's channels.

    Args:
        config: which backbone.
        image_shape: (H, W, C).
        normalise: of the colours, see `Backbone`.

    Raises:
        ValueError: if such images cannot be read.
    """
    height, width, inputs = image_shape
    if min(height, width) < SHRINKS:
        raise ValueError(
            f"classifier.backbone: images are {height} x {width}, but {config.name} halves them "
            f"four times: use a size of at least {SHRINKS}"
        )
    if config.name == "conv4":
        trunk = _conv4(config, inputs)
        features = config.channels * (height // SHRINKS) * (width // SHRINKS)
    else:
        trunk = _res12(config, inputs)
        features = RES12_CHANNELS[config.name][-1]
    return Backbone(trunk, features, config.input_dropout, normalise)


def _conv4(config: BackboneConfig, inputs: int) -> nn.Sequential:
    sizes = (inputs, *[config.channels] * 3)
    return nn.Sequential(
        *(Conv4Layer(size, config.channels, config.norm, config.dropout) for size in sizes)
    )


def _res12(config: BackboneConfig, inputs: int) -> nn.Sequential:
    blocks = []
    for channels in RES12_CHANNELS[config.name]:
        blocks.append(Res12Block(inputs, channels, config))
        inputs = channels
    trunk = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1))
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="leaky_relu")
    return trunk


def _convolution(inputs: int, channels: int, size: int, norm: NormName) -> tuple[nn.Module, ...]:
    """Return a convolution without bias, and the normalisation that has one."""
    return (
        nn.Conv2d(inputs, channels, size, padding=size // 2, bias=False),
        _norm(norm, channels),
    )


def _norm(name: NormName, channels: int) -> nn.Module:
    if name == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.BatchNorm2d(channels)
