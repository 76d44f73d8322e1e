"""From observations to features."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from agents.encoders import ENCODERS, FEATURES, make_encoder
from agents.encoders.mlp import MLPEncoder

IMAGE = (64, 64, 3)


def images(count=2, shape=IMAGE):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, *shape), dtype=torch.uint8, generator=generator)


def convolutions(encoder):
    return [module for module in encoder.modules() if isinstance(module, nn.Conv2d)]


def impala_in_float64(encoder, obs):
    """Figure 3 (right) of Espeholt et al. 2018 on plain contiguous tensors."""
    weights = [(c.weight.double().contiguous(), c.bias.double()) for c in convolutions(encoder)]
    conv = iter(weights)

    def convolve(x):
        return functional.conv2d(x, *next(conv), padding=1)

    x = obs.permute(0, 3, 1, 2).contiguous().double() / 255
    for _ in (16, 32, 32):
        x = functional.max_pool2d(convolve(x), kernel_size=3, stride=2, padding=1)
        for _ in range(2):
            x = x + convolve(torch.relu(convolve(torch.relu(x))))
    x = torch.relu(x).flatten(1)
    features = encoder.features
    return torch.relu(x @ features.weight.double().T + features.bias.double())


def impala_small_in_float64(encoder, obs):
    """Two stages of one block each, the first convolution with a stride, on plain tensors."""
    first, *rest = [
        (c.weight.double().contiguous(), c.bias.double()) for c in convolutions(encoder)
    ]
    conv = iter(rest)

    def convolve(x):
        return functional.conv2d(x, *next(conv), padding=1)

    def pool(x):
        return functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)

    x = obs.permute(0, 3, 1, 2).contiguous().double() / 255
    x = pool(functional.conv2d(x, *first, stride=2, padding=1))
    x = x + convolve(torch.relu(convolve(torch.relu(x))))
    x = pool(convolve(x))
    x = x + convolve(torch.relu(convolve(torch.relu(x))))
    x = torch.relu(x).flatten(1)
    features = encoder.features
    return torch.relu(x @ features.weight.double().T + features.bias.double())


def impala_tiny_in_float64(encoder, obs):
    """Every patch of 4 x 4 pixels times one matrix, a pool, one residual block."""
    patches, inner, last = [(c.weight.double(), c.bias.double()) for c in convolutions(encoder)]
    x = obs.double() / 255
    images, height, width, channels = x.shape
    x = x.view(images, height // 4, 4, width // 4, 4, channels).permute(0, 1, 3, 5, 2, 4)
    x = x.flatten(3) @ patches[0].flatten(1).T + patches[1]
    x = functional.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=3, stride=2, padding=1)
    hidden = functional.conv2d(torch.relu(x), *inner, padding=1)
    x = torch.relu(x + functional.conv2d(torch.relu(hidden), *last, padding=1)).flatten(1)
    features = encoder.features
    return torch.relu(x @ features.weight.double().T + features.bias.double())


PLAIN = {
    "impala": impala_in_float64,
    "impala_small": impala_small_in_float64,
    "impala_tiny": impala_tiny_in_float64,
}


@pytest.mark.parametrize(("name", "plain"), PLAIN.items())
@pytest.mark.parametrize("shape", [IMAGE, (72, 40, 1)])
def test_channels_last_changes_no_value(name, plain, shape):
    torch.manual_seed(0)
    encoder = make_encoder(name, shape)
    assert all(
        c.weight.is_contiguous(memory_format=torch.channels_last) for c in convolutions(encoder)
    )
    obs = images(shape=shape)
    features = encoder(obs)
    assert features.shape == (2, FEATURES)
    torch.testing.assert_close(features.double(), plain(encoder, obs), rtol=1e-4, atol=1e-5)


def test_impala_has_the_papers_layers():
    encoder = make_encoder("impala", IMAGE)
    assert len(convolutions(encoder)) == 15

    def conv(inputs, outputs):
        return inputs * outputs * 3 * 3 + outputs

    stage_16 = conv(3, 16) + 4 * conv(16, 16)
    stage_32 = conv(16, 32) + 4 * conv(32, 32)
    stage_last = conv(32, 32) + 4 * conv(32, 32)
    hidden = 8 * 8 * 32 * 256 + 256  # 64 pixels are halved three times
    expected = stage_16 + stage_32 + stage_last + hidden
    assert sum(parameter.numel() for parameter in encoder.parameters()) == expected


def test_mlp_equals_two_hidden_layers():
    torch.manual_seed(0)
    encoder = make_encoder("mlp", (2, 3))
    obs = torch.randn(5, 2, 3)
    w1, b1, w2, b2 = (parameter.double() for parameter in encoder.parameters())
    expected = torch.relu(torch.relu(obs.double().reshape(5, 6) @ w1.T + b1) @ w2.T + b2)
    torch.testing.assert_close(encoder(obs).double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_has_one_width_and_no_nan(name):
    features = make_encoder(name, IMAGE)(images())
    assert features.shape == (2, FEATURES)
    assert features.isfinite().all()


@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 4, 5)])
def test_auto_reads_what_is_no_image_with_the_mlp(shape):
    encoder = make_encoder("auto", shape)
    assert isinstance(encoder, MLPEncoder)
    assert encoder(torch.zeros(3, *shape)).shape == (3, FEATURES)


def test_auto_reads_images_with_impala():
    assert len(convolutions(make_encoder("auto", IMAGE))) == 15


def test_an_mlp_scales_the_bytes_of_an_image_and_nothing_else():
    torch.manual_seed(0)
    encoder = make_encoder("mlp", (8, 8, 3))
    obs = images(shape=(8, 8, 3))
    features = encoder(obs)
    assert features.shape == (2, FEATURES)
    assert torch.equal(features, encoder(obs.float() / 255))
    assert not torch.allclose(features, encoder(obs.float()))


@pytest.mark.parametrize("shape", [(7, 7, 3), (15, 64, 3), (64, 15, 3)])
def test_auto_reads_small_images_with_the_mlp(shape):
    encoder = make_encoder("auto", shape)
    assert isinstance(encoder, MLPEncoder)
    assert encoder(images(shape=shape)).shape == (2, FEATURES)


def test_auto_reads_the_smallest_image_with_impala():
    assert len(convolutions(make_encoder("auto", (16, 16, 3)))) == 15


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("shape", [(7,), (4, 5), (15, 64, 3), (64, 15, 3), (4, 64, 64, 3)])
def test_an_image_encoder_refuses_what_it_cannot_read(name, shape):
    with pytest.raises(ValueError, match=r"^agent\.encoder: ") as caught:
        make_encoder(name, shape)
    message = str(caught.value)
    assert name in message
    assert str(list(shape)) in message
    assert "'mlp'" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", PLAIN)
def test_the_smallest_image_works(name):
    assert make_encoder(name, (16, 16, 3))(images(shape=(16, 16, 3))).shape == (2, FEATURES)
