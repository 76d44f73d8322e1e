"""Tiny environments with known answers, registered in Gymnasium when this module is imported.

Their ids are `tests.worlds:Counting-v0` and `tests.worlds:TMaze-v0`.
"""

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


class TMaze(gymnasium.Env[NDArray[np.float32], np.int64]):
    """A corridor whose first observation tells which way to turn at its end.

    An observation is [cue left, cue right, corridor, junction], each 0 or 1. In the corridor both
    actions lead forward, so that remembering is the only difficulty. At the junction, action 0
    turns left and 1 right; the episode ends with +1 if that was the cue, else with -1. Without a
    memory the mean return is 0, with a perfect one 1.

    Args:
        length: steps from the cue to the junction; an episode has `length + 1` actions.
    """

    def __init__(self, length: int = 8) -> None:
        self.length = length
        self.observation_space = spaces.Box(0, 1, (4,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.cue = 0
        self.position = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draw a cue and show it."""
        super().reset(seed=seed)
        self.cue = int(self.np_random.integers(2))
        self.position = 0
        return self._observation(), {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Go forward, or turn at the junction."""
        if self.position == self.length:
            return self._observation(), 1.0 if action == self.cue else -1.0, True, False, {}
        self.position += 1
        return self._observation(), 0.0, False, False, {}

    def get_state(self) -> bytes:
        """Return the cue, the position and the random generator's state."""
        rng = self.np_random.bit_generator.state
        return json.dumps([self.cue, self.position, rng]).encode()

    def set_state(self, state: bytes) -> None:
        """Continue from `get_state()`."""
        self.cue, self.position, self.np_random.bit_generator.state = json.loads(state)

    def _observation(self) -> NDArray[np.float32]:
        obs = np.zeros(4, np.float32)
        obs[3 if self.position == self.length else 2] = 1
        if self.position == 0:
            obs[self.cue] = 1
        return obs


gymnasium.register("Counting-v0", entry_point="tests.worlds:Counting")
gymnasium.register("TMaze-v0", entry_point="tests.worlds:TMaze")
