"""Two learners with half of each batch, against one with the whole, in float64."""

import functools

import numpy as np
import pytest
import torch

from learners.supervised import SupervisedConfig, SupervisedLearner, make_batch
from tests.learners.processes import SIZE, in_two_processes
from tests.learners.supervised.episodes import classifier, episodes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

UPDATES, B = 4, 6


# Sequences of each learner, and pieces of a batch. In pieces one learner must cut the batch so that
# a piece holds what the two have in theirs.
ORDERS = {1: [0, 1, 2, 3, 4, 5], 3: [0, 3, 1, 4, 2, 5]}
every_cut = pytest.mark.parametrize("accumulate", ORDERS)


def learn(accumulate, group=None, rank=0):
    """Return metrics, counters and tensors after each update, and the random number that follows.

    In the second update one share is not finite.
    """
    torch.set_num_threads(1)
    network = classifier().double()
    config = SupervisedConfig(
        devices=SIZE if group else 1,
        batch_size=B,
        accumulate=accumulate,
        prototype_cost=0.5,
        max_grad_norm=5.0,
    )
    learner = SupervisedLearner(network, config, group=group)
    share = list(range(rank * 3, rank * 3 + 3)) if group else ORDERS[accumulate]
    bias, after = network.head.bias.data, []
    for seed in range(UPDATES):
        # The sequences are unequally bright: the halves have other statistics.
        arrays = episodes(seed, B).take(share)
        kept = bias.clone()
        poisoned = seed == 1 and 5 in share
        if poisoned:
            bias.fill_(torch.nan)
        metrics = learner.step(make_batch(arrays))
        if poisoned:
            bias.copy_(kept)
        counters = learner.frames, learner.version, learner.skipped
        tensors = {name: x.detach().numpy().copy() for name, x in network.state_dict().items()}
        gradients = {name: p.grad.numpy().copy() for name, p in network.named_parameters()}
        after.append((metrics, counters, tensors, gradients))
    return after, torch.rand(1).item()


def learn_each(group=None, rank=0):
    return {accumulate: learn(accumulate, group, rank) for accumulate in ORDERS}


@functools.cache
def all_learners():
    return *in_two_processes(learn_each), learn_each()


def both(accumulate):
    return [learner[accumulate] for learner in all_learners()]


@every_cut
def test_two_learners_take_the_step_of_one_from_the_whole_batch(accumulate):
    (first, _), (second, _), (alone, _) = both(accumulate)
    for update, (ours, theirs, truth) in enumerate(zip(first, second, alone, strict=True)):
        for name, value in truth[2].items():
            assert np.array_equal(ours[2][name], theirs[2][name]), "they drift apart"
            if not is_noise(name):
                np.testing.assert_allclose(ours[2][name], value, rtol=1e-7, atol=1e-7, err_msg=name)
        if update != 1:
            for name, value in truth[3].items():
                scale = np.abs(value).max()
                np.testing.assert_allclose(
                    ours[3][name], value, rtol=1e-7, atol=1e-7 * scale + 1e-11, err_msg=name
                )


def is_noise(name):
    """Whether it is a bias before BatchNorm, whose gradient is rounding, or what follows it."""
    return name.startswith("backbone.trunk") and name.endswith((".0.bias", ".running_mean"))


@every_cut
def test_each_reports_the_whole_batch(accumulate):
    results = (results for results, _ in both(accumulate))
    for update, (ours, theirs, truth) in enumerate(zip(*results, strict=True)):
        of_memory = {name for name in ours[0] if name.startswith("memory/")}
        assert of_memory == {name for name in truth[0] if name.startswith("memory/")}
        names = [name for name in theirs[0] if not name.startswith("time/")]
        assert names == [n for n in truth[0] if not n.startswith(("time/", "memory/"))]
        if update == 1:  # one share of two is not finite, but the only one of the one
            assert all(np.isnan(of[0]["loss/total"]) for of in (ours, theirs, truth))
            continue
        for name in names:
            assert ours[0][name] == theirs[0][name], name
            assert ours[0][name] == pytest.approx(truth[0][name], rel=1e-7), name


def test_a_share_that_is_not_finite_is_skipped_by_all():
    for results, _ in both(1):
        # 7 positions of 6 sequences
        counters = [counters for _, counters, *_ in results]
        assert counters == [(42, 1, 0), (84, 1, 1), (126, 2, 1), (168, 3, 1)]


def test_each_drops_other_activations():
    (_, first), (_, second), (_, alone) = both(1)
    assert first == alone
    assert first != second
