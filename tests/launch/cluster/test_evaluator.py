"""Held-out levels over Ray, with actors that answer what the test says."""

import pytest
from ray.exceptions import ActorDiedError

from launch.cluster.evaluator import Evaluator
from launch.config.source import parse_config
from launch.flow.base import Trial
from tests.launch.cluster.fakes import Actor, no_ray
from tests.launch.runs import PROCGEN, changed

pytestmark = pytest.mark.usefixtures(no_ray.__name__)

TRIAL = Trial(0.5, {"held_out/maze": 5.0})


@pytest.fixture
def started():
    return []


@pytest.fixture
def evaluator(started):
    def start():
        started.append(Actor())
        return started[-1]

    config = parse_config(changed(PROCGEN, held_out__every_frames=100), [], "test")
    return Evaluator(config, start)


def test_one_trial_at_a_time_and_each_result_once(evaluator, started):
    evaluator.offer("old weights", 0, 90)
    assert started == []
    evaluator.offer("weights", 90, 110)
    evaluator.offer("newer weights", 190, 210)  # the first still goes on
    (actor,) = started
    ((_, arguments, (trial,)),) = actor.asked
    assert arguments == ("weights",)
    assert evaluator.take() is None
    trial.set(TRIAL)
    assert evaluator.take() == TRIAL
    assert evaluator.take() is None
    evaluator.offer("last weights", 290, 310)
    assert [arguments for _, arguments, _ in actor.asked] == [("weights",), ("last weights",)]
    evaluator.close()
    assert actor.killed


def test_a_trial_that_fails_is_told_and_the_next_has_a_process_of_its_own(
    evaluator, started, caplog
):
    evaluator.offer("weights", 90, 110)
    started[0].refs("play")[0][0].set(ActorDiedError())
    assert evaluator.take() is None
    assert "the held-out levels were not played to the end" in caplog.text
    assert started[0].killed
    evaluator.offer("newer weights", 190, 210)
    started[1].refs("play")[0][0].set(TRIAL)
    assert evaluator.take() == TRIAL
