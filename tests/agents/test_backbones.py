"""Conv-4 and Res-12: sizes by hand, the order of their layers, what each dropout drops."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from agents.classifier_config import BackboneConfig
from agents.encoders.backbones import make_backbone


def images(count, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, *shape), generator=generator, dtype=torch.uint8)


def make(shape, **config):
    torch.manual_seed(0)
    normalise = config.pop("normalise", "none")
    return make_backbone(BackboneConfig(**config), shape, normalise)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def norm(channels):
    return 2 * channels


def by_hand_conv4(inputs, channels):
    layers = [9 * size * channels + channels + norm(channels) for size in (inputs, *[channels] * 3)]
    return sum(layers)


def by_hand_res12(inputs, sizes):
    total = 0
    for size in sizes:
        total += 9 * inputs * size + 2 * 9 * size * size + 3 * norm(size)
        total += inputs * size + norm(size)  # the shortcut
        inputs = size
    return total


@pytest.mark.parametrize(
    ("shape", "channels", "features"),
    [
        ((28, 28, 1), 64, 64),
        ((84, 84, 3), 32, 800),
        ((32, 32, 3), 32, 128),
        ((64, 64, 3), 32, 512),
        ((16, 47, 3), 32, 64),
    ],
)
@pytest.mark.parametrize("kind", ["batch", "instance"])
def test_conv4(shape, channels, features, kind):
    backbone = make(shape, channels=channels, norm=kind)
    assert count(backbone) == by_hand_conv4(shape[2], channels)
    assert backbone.features == features
    assert backbone(images(3, shape)).shape == (3, features)


@pytest.mark.parametrize(
    ("name", "sizes"), [("res12", (64, 96, 128, 256)), ("res12_big", (64, 128, 256, 512))]
)
def test_res12(name, sizes):
    backbone = make((33, 16, 3), name=name)
    assert count(backbone) == by_hand_res12(3, sizes)
    assert backbone.features == sizes[-1]
    assert backbone(images(3, (33, 16, 3))).shape == (3, sizes[-1])


@pytest.mark.parametrize("name", ["conv4", "res12"])
def test_an_image_must_survive_four_halvings(name):
    with pytest.raises(ValueError, match=r"15 x 40.* at least 16"):
        make((15, 40, 1), name=name)


def hand_conv4(backbone, x):
    for convolution, normalise, *_ in backbone.trunk:
        x = nn.functional.conv2d(x, convolution.weight, convolution.bias, padding=1)
        mean, spread = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        x = (x - mean.view(1, -1, 1, 1)) / (spread + 1e-5).sqrt().view(1, -1, 1, 1)
        x = x * normalise.weight.view(1, -1, 1, 1) + normalise.bias.view(1, -1, 1, 1)
        size = x.shape[-1] // 2 * 2
        quarters = [x[..., i:size:2, j:size:2] for i in (0, 1) for j in (0, 1)]
        x = torch.stack(quarters).amax(0).clamp(min=0)
    return x.flatten(1)


@pytest.mark.parametrize("normalise", ["none", "imagenet"])
def test_conv4_is_convolution_norm_pooling_and_relu(normalise):
    backbone = make((20, 20, 3), channels=32, normalise=normalise).double()
    for layer in backbone.trunk:
        nn.init.normal_(layer[1].weight)  # with negative ones, pooling before it would differ
        nn.init.normal_(layer[1].bias)
    pictures = images(5, (20, 20, 3))
    x = pictures.double().permute(0, 3, 1, 2) / 255
    if normalise == "imagenet":
        mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
        x = (x - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
    torch.testing.assert_close(backbone(pictures), hand_conv4(backbone, x), rtol=1e-9, atol=1e-9)


def drops(backbone):
    """Return, for each dropout that did something, how many whole channels were dropped."""
    found = []

    def watch(module, args, output):
        dead = (output == 0) & (args[0] != 0)
        if dead.any():
            whole = (dead | (args[0] == 0)).flatten(2).all(-1) & dead.flatten(2).any(-1)
            found.append(bool((whole.sum() * output[0, 0].numel() >= dead.sum()).item()))

    for module in backbone.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.register_forward_hook(watch)
    backbone(images(4, (32, 32, 3)))
    return found


@pytest.mark.parametrize(
    ("options", "places", "whole_channels"),
    [
        ({"name": "res12", "dropout_kind": "base"}, 4, False),
        ({"name": "res12", "dropout_kind": "inblock"}, 12, False),
        ({"name": "res12", "dropout_kind": "2d"}, 4, True),
        ({"name": "res12", "dropout_kind": "2d_inblock"}, 12, True),
        ({"name": "conv4"}, 4, False),
        ({"name": "conv4", "dropout": 0.0, "input_dropout": 0.5}, 1, False),
    ],
)
def test_what_each_dropout_drops(options, places, whole_channels):
    found = drops(make((32, 32, 3), **{"dropout": 0.5, **options}))
    assert len(found) == places
    # On the last block's map of 2 x 2 and of 1 pixel a channel may go by chance.
    assert found[0] == whole_channels
    still = make((32, 32, 3), **{"dropout": 0.5, **options}).eval()
    assert drops(still) == []


def test_instance_norm_sees_each_image_alone():
    shape = (20, 20, 1)
    backbone = make(shape, norm="instance")
    together = backbone(images(4, shape))
    alone = torch.cat([backbone(image[None]) for image in images(4, shape)])
    torch.testing.assert_close(together, alone)
    batch = make(shape)
    alone = torch.cat([batch(image[None]) for image in images(4, shape)])
    assert not torch.allclose(batch(images(4, shape)), alone)


@pytest.mark.parametrize(
    "config", [{"dropout_kind": "2d"}, {"name": "res12", "channels": 32}, {"dropout": 1.0}]
)
def test_options_that_no_one_reads_are_refused(config):
    with pytest.raises(ValidationError):
        BackboneConfig.model_validate(config)
