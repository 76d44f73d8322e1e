"""A tiny environment with known answers, registered in Gymnasium as `tests.worlds:Counting-v0`."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class Count(NamedTuple):
    """What an observation of `Counting` says."""

    world: int  # which environment; from its seed
    episode: int
    step: int  # of the episode; 0 where it opens


def counting_length(world: int, episode: int) -> int:
    """Return the number of actions of an episode: 1 to 7, not in one order everywhere."""
    return 1 + (3 * episode + world) % 7


def counting_reward(count: Count, action: int) -> float:
    """Return what `action` earns at `count`; no two pairs earn the same, and float32 holds it."""
    return count.world * 1000 + count.episode * 10 + count.step + 1 + 0.5 * action


class Counting(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Counts; two actions, which only the reward tells apart. Good for 100 episodes."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 4096, (3,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.count = Count(0, -1, 0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Open the next episode; a seed makes it another world's first."""
        if seed is not None:
            self.count = Count(seed % 4096, -1, 0)
        self.count = Count(self.count.world, self.count.episode + 1, 0)
        return self._observation(), {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Count on; every other episode ends by truncation."""
        reward = counting_reward(self.count, int(action))
        self.count = self.count._replace(step=self.count.step + 1)
        over = self.count.step == counting_length(self.count.world, self.count.episode)
        cut = self.count.episode % 2 == 1
        return self._observation(), reward, over and not cut, over and cut, {}

    def get_state(self) -> bytes:
        """Return the count."""
        return json.dumps(self.count).encode()

    def set_state(self, state: bytes) -> None:
        """Continue from `get_state()`."""
        self.count = Count(*json.loads(state))

    def _observation(self) -> NDArray[np.float32]:
        return np.array(self.count, np.float32)


gymnasium.register("Counting-v0", entry_point="tests.worlds:Counting")
