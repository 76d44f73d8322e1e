"""How GPUs are shared out, by hand-counted cases."""

import sys

import pytest

from launch.config.source import parse_config
from launch.errors import UserError
from launch.flow.resources import room, share_a_gpu, share_out
from tests.launch.runs import TMAZE, changed


def config_of(learners, learner_gpus, worker_gpus):
    launch = {"launch__learner_gpus": learner_gpus, "launch__worker_gpus": worker_gpus}
    tree = changed(TMAZE, launch__mode="ray", learner__devices=learners, **launch)
    return parse_config(tree, [], "test")


@pytest.mark.parametrize(
    ("gpus", "learners", "learner_gpus", "worker_gpus", "workers"),
    [
        (1, 1, 0.5, 0.125, 4),
        (1, 1, 1.0, 0.125, 0),
        (1, 1, 0.0, 0.125, 8),
        (1, 1, 0.7, 0.1, 3),  # in floating point 0.3 / 0.1 is less than 3
        (1, 1, 0.5, 0.3, 1),
        (2, 1, 0.6, 0.7, 1),  # two by the sum, but none fits beside the learner
        (2, 1, 0.5, 0.3, 1 + 3),
        (4, 2, 1.0, 0.25, 8),
        (2, 2, 1.0, 0.25, 0),
        (1, 4, 0.0, 0.5, 2),  # learners on the CPU
        (1, 2, 1.0, 0.5, 0),
        (1, 1, 1.0, 0.0, sys.maxsize),
        (0, 1, 1.0, 0.5, sys.maxsize),
    ],
)
def test_each_worker_fits_on_one_gpu(gpus, learners, learner_gpus, worker_gpus, workers):
    assert room(gpus, config_of(learners, learner_gpus, worker_gpus)) == workers


@pytest.mark.parametrize(
    ("learner_gpus", "worker_gpus", "shared"),
    [(0.5, 0.5, True), (0.7, 0.3, True), (0.5, 0.6, False), (1.0, 0.1, False)],
)
def test_a_worker_may_fit_beside_a_learner(learner_gpus, worker_gpus, shared):
    assert share_a_gpu(config_of(1, learner_gpus, worker_gpus)) == shared


@pytest.mark.parametrize(("gpus", "shares"), [(0, (0, 0)), (1, (0.5, 0.25)), (2, (0.5, 0.25))])
def test_shares_are_reserved_where_there_are_gpus(gpus, shares):
    assert share_out(gpus, config_of(1, 0.5, 0.25), workers=2) == shares


@pytest.mark.parametrize(
    ("learners", "learner_gpus", "worker_gpus", "workers"),
    [(1, 1.0, 0.25, 1), (1, 0.5, 0.25, 3), (2, 1.0, 0.0, 1)],
)
def test_what_does_not_fit_is_told(learners, learner_gpus, worker_gpus, workers):
    config = config_of(learners, learner_gpus, worker_gpus)
    with pytest.raises(UserError, match="do not fit on the 1 GPUs here"):  # Ray waits for ever
        share_out(1, config, workers)
