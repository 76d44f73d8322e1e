"""Which episodes an evaluation plays: every level equally often, short ones no more than long."""

from collections import Counter

import pytest

from envs import EnvsConfig, EnvSpec
from envs.gym_env import GymVectorEnv
from launch.flow import levels
from launch.flow.evaluate import evaluate
from launch.flow.levels import ENVS_PER_TASK, plan_episodes
from tests.launch.play.test_evaluate import Nothing, agent_of
from tests.worlds import Count, counting_length, counting_reward

GAMES = EnvsConfig(tasks=("bigfish", "maze"), num_levels=5, start_level=100)


def planned(config, episodes, left_out=None):
    """How often each level of each game is played."""
    plan = plan_episodes(config, episodes, left_out or {})
    assert all(part.episodes == len(part.levels) for part in plan)
    return {
        task: Counter(level for part in plan if part.task == task for level in part.levels)
        for task in config.tasks
    }


@pytest.mark.parametrize("episodes", [1, 3, 5, 12, 40])
def test_levels_are_played_equally_often_and_more_episodes_include_fewer(episodes):
    for counts in planned(GAMES, episodes).values():
        assert counts.total() == episodes
        for level in range(100, 105):
            assert counts[level] == len(range(level - 100, episodes, 5))


def test_levels_that_are_left_out_are_not_replaced():
    counts = planned(GAMES, 10, {"maze": [101, 104]})
    assert counts == {
        "bigfish": dict.fromkeys(range(100, 105), 2),
        "maze": dict.fromkeys((100, 102, 103), 2),
    }
    with pytest.raises(ValueError, match="no level of maze is left of the first 2"):
        planned(GAMES, 2, {"maze": [100, 101]})


@pytest.mark.parametrize(
    "envs", [{"tasks": ("maze",), "num_levels": 0}, {"tasks": ["CartPole-v1"]}]
)
def test_without_levels_the_environments_share_the_episodes(envs):
    plan = plan_episodes(EnvsConfig(**envs), 35, {})
    assert sorted(part.episodes for part in plan) == [2] * 13 + [3] * 3
    assert not any(part.levels for part in plan)
    assert len(plan) == ENVS_PER_TASK


@pytest.mark.parametrize("episodes", [3, 12, 40])
def test_a_mean_is_over_levels_and_not_over_time(episodes, monkeypatch):
    """Level L of the counting environment takes 1 + L mod 7 steps and has a return of its own."""
    world = "tests.worlds:Counting-v0"
    monkeypatch.setattr(levels, "env_spec", lambda config: EnvSpec((3,), "float32", 2))
    monkeypatch.setattr(levels, "level_opener", lambda config: opener(world))
    advanced = []
    scores = evaluate(
        agent_of(Nothing(), (1.0, 0.0)), GAMES, "train", episodes, 0, lambda: advanced.append(1)
    )
    assert len(advanced) == 2 * episodes
    expected = sorted(100 + episode % 5 for episode in range(episodes))
    for score, task in zip(scores, GAMES.tasks, strict=True):
        assert score.task == task
        assert [*score.levels] == expected
        assert [*score.returns] == [
            sum(counting_reward(Count(level, 0, t), 0) for t in range(counting_length(level, 0)))
            for level in expected
        ]


def opener(world):
    return lambda task, level: GymVectorEnv([world], seeds=[level])
