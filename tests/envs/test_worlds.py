from __future__ import annotations

import numpy as np

from tests.worlds import Count, counting_length, counting_reward


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
