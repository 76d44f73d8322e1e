from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from tests.worlds import Count, counting_length, counting_reward


def mean_return(policy, length=8, episodes=400):
    env = gymnasium.make("tests.worlds:TMaze-v0", length=length)
    returns = []
    for episode in range(episodes):
        obs, _ = env.reset(seed=0 if episode == 0 else None)
        opening, steps, over = obs, 0, False
        while not over:
            obs, reward, over, _, _ = env.step(policy(opening, obs))
            steps += 1
        assert steps == length + 1
        returns.append(float(reward))
    return np.mean(returns)


@pytest.mark.parametrize("length", [1, 8])
def test_memory_solves_the_t_maze(length):
    assert mean_return(lambda opening, obs: int(opening[1]), length) == 1
    assert mean_return(lambda opening, obs: int(opening[0]), length) == -1


def test_without_memory_it_is_chance():
    assert abs(mean_return(lambda opening, obs: 0)) < 0.15
    assert abs(mean_return(lambda opening, obs: int(obs[1]))) < 0.15


def test_only_the_opening_observation_shows_the_cue():
    env = gymnasium.make("tests.worlds:TMaze-v0", length=3)
    seen = set()
    for seed in range(10):
        opening, _ = env.reset(seed=seed)
        seen.add(tuple(opening))
        rest = [env.step(seed % 2)[0].tolist() for _ in range(3)]
        assert rest == [[0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert seen == {(1, 0, 1, 0), (0, 1, 1, 0)}


def test_every_reward_of_the_counting_world_is_unique_in_float32():
    rewards = [
        np.float32(counting_reward(Count(world, episode, step), action))
        for world in (0, 1, 4094, 4095)
        for episode in range(100)
        for step in range(counting_length(world, episode))
        for action in (0, 1)
    ]
    assert len(set(rewards)) == len(rewards)
    lengths = {counting_length(world, episode) for world in range(3) for episode in range(10)}
    assert lengths == set(range(1, 8))
