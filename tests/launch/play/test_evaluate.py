"""Complete episodes, played greedily, against returns known from the environments' rules."""

import math
import statistics

import pytest
import torch
from torch import nn

from agents import Agent
from agents.cores import Core
from envs import EnvsConfig, make_env
from launch.flow.evaluate import Score, evaluate, mean_normalised
from launch.flow.levels import ENVS_PER_TASK
from tests.worlds import Count, counting_length, counting_reward

COUNTING = EnvsConfig(tasks=("tests.worlds:Counting-v0",))
TMAZE = EnvsConfig(tasks=("memory/TMaze-8",))


class Remember(Core):
    """Shows the cue of a TMaze, which it saw when the episode opened."""

    output_size = 2

    def initial_state(self, batch):
        return (torch.zeros(batch, 2),)

    def forward(self, x, first, state):
        (cue,) = state
        shown = []
        for features, opens in zip(x, first.unsqueeze(-1), strict=True):
            cue = torch.where(opens, features[:, :2], cue)
            shown.append(cue)
        return torch.stack(shown), (cue,)


class Nothing(Core):
    output_size = 2

    def initial_state(self, batch):
        return ()

    def forward(self, x, first, state):
        return torch.zeros(*first.shape, 2), state


def agent_of(core, bias=(0.0, 0.0)):
    """Return an agent whose logits are the core's output plus a bias."""
    agent = Agent(nn.Identity(), core, num_actions=2).eval()
    with torch.no_grad():
        agent.policy.weight.copy_(torch.eye(2))
        agent.policy.bias.copy_(torch.tensor(bias))
    return agent


# As many as environments play side by side, fewer, and a number that they do not share equally.
@pytest.mark.parametrize("episodes", [1, 5, ENVS_PER_TASK, 2 * ENVS_PER_TASK + 5])
@pytest.mark.parametrize("action", [0, 1])
def test_each_environment_plays_its_share_and_the_mean_is_of_those(episodes, action):
    """Episodes of Counting are 1 to 7 long: the first to finish would be other ones."""
    bias = (0.1, 0.0) if action == 0 else (0.0, 0.1)  # greedy, so a little is all
    advanced = []
    (score,) = evaluate(
        agent_of(Nothing(), bias), COUNTING, "train", episodes, 4, lambda: advanced.append(1)
    )
    side_by_side = min(episodes, ENVS_PER_TASK)
    worlds = make_env(COUNTING, side_by_side, seed=4).observe().obs[:, 0]
    returns = []
    for env, world in enumerate(int(world) for world in worlds):
        for episode in range(len(range(env, episodes, side_by_side))):
            counts = [Count(world, episode, t) for t in range(counting_length(world, episode))]
            returns.append(sum(counting_reward(count, action) for count in counts))
    assert len(returns) == episodes == len(advanced)
    assert score.episodes == episodes
    assert score.mean == pytest.approx(statistics.fmean(returns))
    if episodes == 1:
        assert score.standard_error is None
    else:
        error = statistics.stdev(returns) / math.sqrt(episodes)
        assert score.standard_error == pytest.approx(error)
    assert score.normalised is None


def test_an_agent_that_remembers_solves_a_tmaze():
    """The state is carried from step to step and forgotten between episodes."""
    (score,) = evaluate(agent_of(Remember()), TMAZE, "train", 40, 0)
    assert score == Score("train", TMAZE.tasks[0], (1.0,) * 40, (), None)
    assert (score.episodes, score.mean, score.standard_error) == (40, 1.0, 0.0)


def test_an_agent_without_memory_is_right_half_of_the_time():
    (left,) = evaluate(agent_of(Nothing(), (1.0, 0.0)), TMAZE, "train", 60, 0)
    (right,) = evaluate(agent_of(Nothing(), (0.0, 1.0)), TMAZE, "train", 60, 0)
    assert left.mean == -right.mean  # the same mazes
    assert abs(left.mean) < 0.5
    (elsewhere,) = evaluate(agent_of(Nothing(), (1.0, 0.0)), TMAZE, "train", 60, 1)
    assert elsewhere.mean != left.mean  # another seed, other mazes


def test_the_mean_of_all_games_needs_a_range_for_each():
    scores = [
        Score("train", "bigfish", (12.35,), (0,), 0.291),
        Score("train", "maze", (7.5,), (0,), 0.5),
    ]
    assert mean_normalised(scores) == pytest.approx(0.3955)
    assert mean_normalised([*scores, scores[0]._replace(normalised=None)]) is None
