"""Tasks that only an agent with a memory can solve, with a known chance and a known best.

Gymnasium knows them as `memory/TMaze-8`, `memory/Recall-30` and so on once this module is imported.
Recall-N has N steps between the cue and the question; in TMaze-N the junction is N steps away.
"""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

LENGTHS = (8, 30, 100)
"""The numbers in the registered names; `gymnasium.make("memory/Recall-8", gap=12)` makes others."""


class Recall(gymnasium.Env[NDArray[np.float32], np.int64]):
    """An episode shows a cue at its first step and asks for it at its last.

    An observation has C + 2 entries, each 0 or 1: the cue (one-hot, at the first step alone), then
    "wait" and "answer now". The steps between show the same whatever the cue was, and actions
    change nothing before the last one: it earns +1 if it is the cue's number, else -1. So the mean
    return is 2 / C - 1 without a memory, and 1 with a perfect one.

    Args:
        cues: C, the number of cues and of actions.
        gap: steps between the cue and the question; an episode has gap + 2 actions.
    """

    def __init__(self, cues: int = 4, gap: int = 8) -> None:
        self.cues = cues
        self.gap = gap
        self.observation_space = spaces.Box(0, 1, (cues + 2,), np.float32)
        self.action_space = spaces.Discrete(cues)
        self.cue = 0
        self.time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draw a cue and show it."""
        super().reset(seed=seed)
        self.cue = int(self.np_random.integers(self.cues))
        self.time = 0
        return self._observation(), {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Wait, or answer."""
        if self.time > self.gap:
            return self._observation(), 1.0 if action == self.cue else -1.0, True, False, {}
        self.time += 1
        return self._observation(), 0.0, False, False, {}

    def get_state(self) -> bytes:
        """Return the cue, the time and the random generator's state."""
        return json.dumps([self.cue, self.time, self.np_random.bit_generator.state]).encode()

    def set_state(self, state: bytes) -> None:
        """Continue from `get_state()`."""
        self.cue, self.time, self.np_random.bit_generator.state = json.loads(state)

    def _observation(self) -> NDArray[np.float32]:
        observation = np.zeros(self.cues + 2, np.float32)
        observation[self.cues + (self.time > self.gap)] = 1
        if self.time == 0:
            observation[self.cue] = 1
        return observation


class TMaze(Recall):
    """A corridor whose first observation tells which way to turn at its end (Bakker 2002).

    The cue is left (0) or right (1), and both actions lead forward in the corridor. This is
    `Recall` with two cues: the mean return is 0 without a memory.

    Args:
        length: steps from the cue to the junction; an episode has length + 1 actions.
    """

    def __init__(self, length: int = 8) -> None:
        super().__init__(cues=2, gap=length - 1)


for number in LENGTHS:
    gymnasium.register(
        f"memory/Recall-{number}", entry_point="envs.memory:Recall", kwargs={"gap": number}
    )
    gymnasium.register(
        f"memory/TMaze-{number}", entry_point="envs.memory:TMaze", kwargs={"length": number}
    )
