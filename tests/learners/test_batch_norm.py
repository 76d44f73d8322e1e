"""BatchNorm of two learners with unequal shares, against PyTorch's on the whole batch."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest
import torch
import torch.distributed as dist
from torch import nn

from learners.batch_norm import GroupBatchNorm, synchronise

CHANNELS, SHARES = 3, (2, 3)


def in_threads(work):
    """Return what `work(rank, group)` returns in two threads that are learners of one group."""
    store = dist.HashStore()

    def member(rank):
        torch.set_num_threads(1)
        return work(rank, dist.ProcessGroupGloo(store, rank, 2))

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(member, range(2)))


def layer(dtype=torch.float64):
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(CHANNELS, momentum=0.3).to(dtype)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    return layer


def shares(dtype=torch.float64, mean=0.0):
    """Return the learners' images, of unlike means and sizes, and cotangents."""
    torch.manual_seed(1)
    whole = [torch.randn(size, CHANNELS, 4, 5) * (i + 1) + 3 * i for i, size in enumerate(SHARES)]
    images = [(x + mean).to(dtype, memory_format=torch.channels_last) for x in whole]
    return images, [torch.randn(x.shape).to(dtype) for x in whole]


def alone(dtype=torch.float64, mean=0.0):
    images, cotangents = shares(dtype, mean)
    x = torch.cat(images).requires_grad_()
    norm = layer(dtype)
    y = norm(x)
    y.backward(torch.cat(cotangents))
    return norm, y, x.grad


def together(dtype=torch.float64, mean=0.0, low=None):
    images, cotangents = shares(dtype, mean)
    layers = [layer(dtype), layer(dtype)]

    def work(rank, group):
        x = images[rank].to(low or dtype).requires_grad_()
        norm = GroupBatchNorm(layers[rank], group)
        y = norm(x)
        y.backward(cotangents[rank].to(y.dtype))
        return norm, y, x.grad

    return in_threads(work)


def test_values_gradients_and_running_statistics_are_those_of_the_whole_batch():
    whole, y, of_x = alone()
    first, second = together()
    exact = {"rtol": 1e-11, "atol": 1e-12}
    torch.testing.assert_close(torch.cat([first[1], second[1]]), y, **exact)
    torch.testing.assert_close(torch.cat([first[2], second[2]]), of_x, **exact)
    for name in ("weight", "bias"):
        # As DistributedDataParallel does, with the factor that its mean needs.
        shared = sum(getattr(part[0], name).grad for part in (first, second))
        torch.testing.assert_close(shared, getattr(whole, name).grad, **exact)
    for norm, *_ in (first, second):
        for name, buffer in whole.named_buffers():
            torch.testing.assert_close(norm.get_buffer(name), buffer, **exact)
    # In evaluation the learners need not be together.
    x = shares()[0][0]
    torch.testing.assert_close(first[0].eval()(x), whole.eval()(x), **exact)


def test_a_large_mean_leaves_its_digits_to_the_variance():
    _, y, of_x = alone(mean=1000.0)
    parts = together(torch.float32, mean=1000.0)
    torch.testing.assert_close(torch.cat([p[1] for p in parts]).double(), y, rtol=0, atol=2e-3)
    torch.testing.assert_close(torch.cat([p[2] for p in parts]).double(), of_x, rtol=0, atol=2e-3)


def test_in_bfloat16_the_statistics_are_wide():
    _, y, _ = alone(torch.float32)
    parts = together(torch.float32, low=torch.bfloat16)
    assert parts[0][1].dtype == parts[0][2].dtype == torch.bfloat16
    assert parts[0][0].running_var.dtype == torch.float32
    torch.testing.assert_close(torch.cat([p[1] for p in parts]).float(), y, rtol=0.02, atol=0.05)


@pytest.mark.parametrize("training", [True, False])
def test_a_network_keeps_its_parameters_names_and_mode(training):
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()))
    network.train(training)
    before = network.state_dict(keep_vars=True)
    copies = [network, deepcopy(network)]
    in_threads(lambda rank, group: synchronise(copies[rank], group))
    after = network.state_dict(keep_vars=True)
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
    assert isinstance(network[1][0], GroupBatchNorm)
    assert network[1][0].training == training
