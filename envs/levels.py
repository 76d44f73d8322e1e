"""Chosen levels: each environment plays a list of levels, one episode of each.

ProcGen itself draws the level of every episode from a range. An environment of a range of one level
plays that level, so each episode here has an environment of its own. It takes a millisecond to open
one, and what happens in it depends on the level and the actions alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from envs.config import EnvsConfig
from envs.procgen_env import ProcgenVectorEnv
from envs.vector import EnvSpec, Timestep, VectorEnv

OpenLevel = Callable[[str, int], VectorEnv]
"""Opens one environment, of a task and a level."""


def level_opener(config: EnvsConfig) -> OpenLevel:
    """Return what opens a level of a ProcGen game in the mode of `config`.

    Raises:
        ValueError: when a level is opened, if ProcGen is not there or does not open.
    """

    def open_level(task: str, level: int) -> VectorEnv:
        levels = {"num_levels": 1, "start_level": level, "threads": 0}
        return ProcgenVectorEnv(config.model_copy(update=levels), [task], seed=0)

    return open_level


class LevelListEnv:
    """N environments; environment i plays `tasks[i]`, an episode of each of `levels[i]` in turn.

    After its last level an environment plays that level again.

    Args:
        spec: what the environments share.
        tasks: the N names.
        levels: N lists, each of one level at least.
        open_level: opens one environment.
    """

    def __init__(
        self,
        spec: EnvSpec,
        tasks: Sequence[str],
        levels: Sequence[Sequence[int]],
        open_level: OpenLevel,
    ) -> None:
        self.spec = spec
        self.tasks = tuple(tasks)
        self.num_envs = len(self.tasks)
        self._open = open_level
        self._left = [deque(numbers) for numbers in levels]
        self._envs = [self._next(i) for i in range(self.num_envs)]
        self._now = self._gather()

    def act(self, action: NDArray[np.integer]) -> None:
        """See `VectorEnv`."""
        for env, one in zip(self._envs, action[:, None], strict=True):
            env.act(one)
        self._now = self._gather()
        for i in np.flatnonzero(self._now.first):
            if self._left[i]:
                self._envs[i].close()
                self._envs[i] = self._next(i)
                self._now.obs[i] = self._envs[i].observe().obs[0]

    def observe(self) -> Timestep:
        """See `VectorEnv`."""
        return self._now

    def save(self) -> list[bytes] | None:
        """See `VectorEnv`: the levels that are left are not saved, so it cannot be."""
        return None

    def restore(self, states: Sequence[bytes]) -> None:
        """See `VectorEnv`.

        Raises:
            ValueError: always, as there is nothing that `save` gave.
        """
        raise ValueError("environments that play lists of levels are not restored")

    def close(self) -> None:
        """See `VectorEnv`."""
        for env in self._envs:
            env.close()

    def _next(self, i: int) -> VectorEnv:
        return self._open(self.tasks[i], self._left[i].popleft())

    def _gather(self) -> Timestep:
        seen = [env.observe() for env in self._envs]
        return Timestep(
            np.concatenate([now.obs for now in seen]),
            np.concatenate([now.reward for now in seen]),
            np.concatenate([now.first for now in seen]),
        )
