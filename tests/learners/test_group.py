"""Two learners with half of each batch, against one with the whole: real processes, gloo."""

import functools

import numpy as np
import pytest
import torch

from learners import Learner, LearnerConfig
from tests.learners import test_weights
from tests.learners.impala.test_learner import T, batch_for, network, poison
from tests.learners.processes import SIZE, in_two_processes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BATCHES = 4


def whole(core, seed):
    """Return a batch of six environments; in the second one, the last of them is not finite."""
    agent = network(core)
    batches = [batch_for(agent, seed=2 * seed), batch_for(agent, seed=2 * seed + 1)]
    if seed == 1:
        batches[1] = poison(batches[1], "reward")
    joined = {
        name: np.concatenate([getattr(batch, name) for batch in batches], axis=1)
        for name in ("obs", "reward", "first", "action", "logits")
    }
    return batches[0]._replace(
        **joined,
        final_value=np.zeros_like(joined["reward"][1:]),  # no time limits
        version=np.arange(6),
        state=tuple(
            np.concatenate(parts) for parts in zip(*(b.state for b in batches), strict=True)
        ),
    )


OPTIONS = {"reduction": "mean", "normalise_advantages": True, "optimiser": "adam"}
CASES = {"srwm": ("srwm", False), "lstm": ("lstm", False), "lstm, with options": ("lstm", True)}
every_case = pytest.mark.parametrize("case", CASES)


def learn(case, group=None, rank=0):
    """Return gradients, metrics and parameters after each of the updates."""
    torch.set_num_threads(1)
    core, with_options = CASES[case]
    section = LearnerConfig(learning_rate=0.01, devices=SIZE, **OPTIONS if with_options else {})
    learner = Learner(network(core), section, 10**6, group=group)
    envs = 6 // SIZE if group else 6
    after = []
    for seed in range(BATCHES):
        metrics = learner.update(whole(core, seed).columns(rank * envs, (rank + 1) * envs))
        parameters = dict(learner.agent.named_parameters())
        after.append(
            (
                {name: p.grad.numpy().copy() for name, p in parameters.items()},
                {name: p.detach().numpy().copy() for name, p in parameters.items()},
                {name: x for name, x in metrics.items() if not name.startswith(("time", "memory"))},
                (learner.frames, learner.version, learner.skipped),
            )
        )
    return after


@functools.cache
def both(case):
    return *in_two_processes(learn, case), learn(case)


def relative(ours, truth):
    return np.sqrt(((ours - truth) ** 2).sum() / (truth**2).sum())


@every_case
def test_two_learners_learn_what_one_does_from_the_whole_batch(case):
    first, second, alone = both(case)
    for update, (ours, theirs, truth) in enumerate(zip(first, second, alone, strict=True)):
        assert ours[3] == theirs[3] == truth[3]
        for name in truth[1]:
            assert np.array_equal(ours[1][name], theirs[1][name]), "they drift apart"
            assert relative(ours[1][name], truth[1][name]) < 1e-5
            if update == 0:  # later ones are taken at parameters that differ in their last bits
                assert relative(ours[0][name], truth[0][name]) < 1e-5, name


@every_case
def test_each_reports_the_whole_batch(case):
    for ours, theirs, truth in zip(*both(case), strict=True):
        assert ours[2].keys() == truth[2].keys()
        for name, value in truth[2].items():
            assert ours[2][name] == pytest.approx(value, rel=1e-5, nan_ok=True), name
            assert theirs[2][name] == pytest.approx(value, rel=1e-5, nan_ok=True), name


def test_a_share_that_is_not_finite_is_skipped_by_all():
    for results in both("srwm"):
        assert [counters for *_, counters in results] == [
            (T * 6, 1, 0),
            (T * 12, 1, 1),
            (T * 18, 2, 1),
            (T * 24, 3, 1),
        ]


def two_updates_with_batch_norm(group, rank):
    """Learn from one share of a batch, then from another; return the buffers after each."""
    torch.set_num_threads(1)
    learner = Learner(test_weights.network(), LearnerConfig(devices=SIZE), 10**6, group=group)
    means = []
    for seed in (rank, SIZE + rank):
        learner.update(test_weights.batch_for(learner.agent, seed))
        means.append(learner.weights().state_dict["encoder.running_mean"])
    return means


def test_buffers_of_a_group_are_the_first_learners():
    """They are not averaged: before each forward pass all take those of the first learner."""
    found = in_two_processes(two_updates_with_batch_norm)
    agent = test_weights.network()
    shares = [test_weights.batch_for(agent, seed).obs for seed in range(2 * SIZE)]
    means = [share.reshape(-1, share.shape[-1]).mean(0) for share in shares]
    first = 0.1 * means[0]
    wanted = [
        [first, 0.9 * first + 0.1 * means[2]],
        [0.1 * means[1], 0.9 * first + 0.1 * means[3]],
    ]
    for rank in range(SIZE):
        np.testing.assert_allclose(found[rank], wanted[rank], rtol=1e-4, atol=1e-6)
