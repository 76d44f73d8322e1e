"""Environments that play lists of levels."""

import numpy as np
import pytest

from envs import EnvsConfig, EnvSpec, LevelListEnv, level_opener
from envs.gym_env import GymVectorEnv
from envs.procgen_env import ProcgenVectorEnv
from tests.worlds import Count, counting_length, counting_reward

COUNTING = "tests.worlds:Counting-v0"
SPEC = EnvSpec((3,), "float32", 2)
LISTS = [[5, 0, 3], [6], [1, 1]]


def open_counting(task, level):
    return GymVectorEnv([task], seeds=[level])


def test_each_environment_plays_its_levels_in_turn_whatever_their_length():
    env = LevelListEnv(SPEC, [COUNTING] * 3, LISTS, open_counting)
    seen = [[Count(*map(int, row))] for row in env.observe().obs]
    for _ in range(30):
        env.act(np.zeros(3, np.int64))
        now = env.observe()
        for i, count in enumerate(Count(*map(int, row)) for row in now.obs):
            assert now.first[i] == (count.step == 0)
            before = seen[i][-1]
            assert now.reward[i] == counting_reward(before, 0)  # also where the level changes
            seen[i].append(count)
    for levels, counts in zip(LISTS, seen, strict=True):
        opened = [count.world for count in counts if count.step == 0 and count.episode == 0]
        assert opened == levels
        steps = [count for count in counts if count.episode == 0]
        assert len(steps) == sum(counting_length(level, 0) for level in levels)


def test_it_cannot_be_saved():
    env = LevelListEnv(SPEC, [COUNTING], [[1]], open_counting)
    assert env.save() is None
    with pytest.raises(ValueError, match="not restored"):
        env.restore([])
    env.close()


def levels_of(env):
    return [one._env.get_info()[0]["level_seed"] for one in env._envs]


def test_procgen_plays_these_levels():
    config = EnvsConfig(tasks=("leaper", "maze"), threads=2)
    spec = EnvSpec((64, 64, 3), "uint8", 15)
    lists = [[1001, 12, 7], [3, 900]]
    env = LevelListEnv(spec, config.tasks, lists, level_opener(config))
    rng = np.random.default_rng(0)
    played = [[level] for level in levels_of(env)]
    while min(map(len, played)) < 2:
        env.act(rng.integers(15, size=2))
        for i in np.flatnonzero(env.observe().first):
            played[i].append(levels_of(env)[i])
    env.close()
    for levels, seen in zip(lists, played, strict=True):
        assert seen[: len(levels)] == levels[: len(seen)]


def test_a_procgen_level_and_the_actions_decide_all_that_happens():
    """Bigfish draws its fish while it is played; the seed of the environment has no part in it."""
    config = EnvsConfig(tasks=("bigfish",), num_levels=1, start_level=77)
    envs = [ProcgenVectorEnv(config, ["bigfish"], seed=seed) for seed in (0, 1)]
    for action in np.random.default_rng(0).integers(15, size=(150, 1)):
        one, other = (env.observe().copy() for env in envs)
        for mine, theirs in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        for env in envs:
            env.act(action)
    assert one.obs.std() > 0
