"""Learning, not only running: a task that needs a memory, with a known best and a known chance."""

from collections import deque
from contextlib import closing
from statistics import fmean

import pytest

from envs import EnvsConfig
from launch.build import build_agent
from launch.config import RunConfig
from launch.evaluate import evaluate
from launch.local import LocalFlow
from learners import load_agent

TASK = "tests.worlds:TMaze-v0"


def train_until_solved(core, most_frames):
    """Train until the last 300 episodes are nearly all right, or the frames are used up."""
    stack = {"hidden_size": 32, "layers": 1, "heads": 8}
    config = RunConfig.model_validate(
        {
            "total_frames": 600_000,
            "seed": 1,
            "envs": {"tasks": [TASK]},
            "agent": {"core": core, "srwm": stack, "delta": stack},
            "learner": {"unroll_length": 9, "batch_size": 32, "learning_rate": 2e-3},
            "launch": {"mode": "local", "envs_per_worker": 32, "learner_threads": 1},
        }
    )
    returns = deque([0.0], maxlen=300)
    frames = 0
    with closing(LocalFlow(config)) as flow:
        while frames < most_frames and fmean(returns) < 0.99:
            report = flow.update()
            frames = report.frames
            returns.extend(e.ret for rollout in report.rollouts for e in rollout.episodes)
        agent = build_agent(config).eval()
        load_agent(agent, flow.learner.agent.state_dict())
    (score,) = evaluate(agent, EnvsConfig(tasks=(TASK,)), "train", episodes=400, seed=9)
    return score.mean, frames


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_srwm_remembers_a_cue_that_a_feedforward_core_cannot():
    mean, frames = train_until_solved("srwm", 500_000)
    assert mean > 0.95
    # The feed-forward core gets as many frames and stays at the coin toss at the junction, whose
    # mean is 0; 0.2 is four standard errors of 400 tosses.
    mean, _ = train_until_solved("feedforward", frames)
    assert abs(mean) < 0.2


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("core", ["delta", "sr_delta"])
def test_the_other_fast_weights_remember_it_as_well(core):
    mean, _ = train_until_solved(core, 500_000)
    assert mean > 0.95
