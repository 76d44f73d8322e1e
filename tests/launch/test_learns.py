"""Learning, not only running: tasks that need a memory, with a known best and a known chance.

The settings are those of `configs/tmaze.yaml` and `configs/recall.yaml`, with the default network.
"""

from collections import deque
from contextlib import closing
from statistics import fmean
from typing import NamedTuple

import pytest

from launch.config.source import load_config
from launch.flow.build import build_agent
from launch.flow.evaluate import evaluate
from launch.flow.local import LocalFlow
from learners import load_agent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SOLVED = 0.95


class Trained(NamedTuple):
    """What came of a training."""

    mean: float  # return of 400 episodes, greedy
    frames: int


def train(name, *overrides, frames=None):
    """Train with a configuration until its task is solved, or for so many frames.

    It counts as solved when the last 300 episodes are nearly all right.
    """
    config = load_config(name, overrides)
    returns = deque([0.0], maxlen=300)
    learnt = 0
    with closing(LocalFlow(config)) as flow:
        while learnt < (frames or config.total_frames) and fmean(returns) < 0.99:
            report = flow.update()
            learnt = report.frames
            returns.extend(e.ret for rollout in report.rollouts for e in rollout.episodes)
        agent = build_agent(config).eval()
        load_agent(agent, flow.learner.agent.state_dict())
    (score,) = evaluate(agent, config.envs, "train", episodes=400, seed=9)
    return Trained(score.mean, learnt)


@pytest.fixture(scope="module")
def srwm_in_the_t_maze():
    return train("tmaze", "agent.core=srwm")


def test_the_srwm_remembers_a_cue(srwm_in_the_t_maze):
    assert srwm_in_the_t_maze.mean > SOLVED


@pytest.mark.parametrize("core", ["feedforward", "fake_srwm"])
def test_without_a_memory_the_same_frames_leave_it_at_chance(core, srwm_in_the_t_maze):
    """The mean is 0 for a coin toss at the junction; 0.2 is four standard errors of 400 tosses."""
    trained = train("tmaze", f"agent.core={core}", frames=srwm_in_the_t_maze.frames)
    assert abs(trained.mean) < 0.2


def test_the_papers_input_needs_more_frames_than_the_default(srwm_in_the_t_maze):
    """What made the difference: with the softmax of its input the layer is still at chance."""
    paper = ("agent.core=srwm", "agent.srwm.input=softmax")
    trained = train("tmaze", *paper, frames=srwm_in_the_t_maze.frames)
    assert abs(trained.mean) < 0.2


@pytest.mark.parametrize("core", ["delta", "sr_delta"])
def test_the_other_fast_weights_remember_it_as_well(core):
    assert train("tmaze", f"agent.core={core}").mean > SOLVED


def test_the_srwm_recalls_one_of_four_cues():
    assert train("recall", "agent.core=srwm").mean > SOLVED
