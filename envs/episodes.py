"""Episodes as people count them: their return and length, put together from the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Episode(NamedTuple):
    """A finished episode."""

    env: int  # its index in the vector environment
    task: str
    ret: float  # the return, neither discounted nor clipped
    length: int  # number of actions


class EpisodeTracker:
    """Adds up what N environments of `tasks` give.

    It is fed every timestep that answers an action. The opening observation answers none, so it
    is not fed, and though it is `first` everywhere it ends no episode.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        self.tasks = tuple(tasks)
        self._returns = np.zeros(len(self.tasks), np.float64)
        self._lengths = np.zeros(len(self.tasks), np.int64)

    def step(self, reward: NDArray[np.float32], first: NDArray[np.bool_]) -> list[Episode]:
        """Add one timestep, reward [N] and first [N]; return the episodes that ended with it."""
        self._returns += reward
        self._lengths += 1
        ended = [
            Episode(int(i), self.tasks[i], float(self._returns[i]), int(self._lengths[i]))
            for i in np.flatnonzero(first)
        ]
        self._returns[first] = 0
        self._lengths[first] = 0
        return ended

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Actions so far in the episode that goes on, [N]."""
        return self._lengths

    def state(self) -> dict[str, NDArray[Any]]:
        """Return a copy of the running sums, each [N]."""
        return {"returns": self._returns.copy(), "lengths": self._lengths.copy()}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from `state()`.

        Raises:
            ValueError: if it is of another number of environments.
        """
        for name, mine in (("returns", self._returns), ("lengths", self._lengths)):
            if state[name].shape != mine.shape:
                raise ValueError(f"{name} has shape {state[name].shape}, expected {mine.shape}")
            mine[:] = state[name]
