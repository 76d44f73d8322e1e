"""The contract of a vector environment: N environments that are stepped together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class EnvSpec(NamedTuple):
    """What an agent has to know of the tasks; all tasks of a run share it."""

    observation_shape: tuple[int, ...]  # (H, W, C) of an image or (F,) of a vector
    observation_dtype: str  # "uint8" of an image, "float32" of a vector
    num_actions: int  # A; actions are 0..A-1

    @property
    def observation_bytes(self) -> int:
        """Size of one observation."""
        return math.prod(self.observation_shape) * np.dtype(self.observation_dtype).itemsize


class Timestep(NamedTuple):
    """What N environments show at one moment.

    `first[i]` says that `obs[i]` opens an episode; `reward[i]` arrived together with `obs[i]`.
    Where `first[i]`, it is therefore the last reward of the episode that has just ended, and 0 at
    the very start. The last observation of an episode is not shown: on the step that ends it, the
    environment returns the next episode's first one.

    A time limit ends an episode like any other end: learning takes the value after it for 0.
    """

    obs: NDArray[np.generic]  # [N, ...], of the spec's shape and dtype
    reward: NDArray[np.float32]  # [N]
    first: NDArray[np.bool_]  # [N]

    def copy(self) -> Timestep:
        """Return the same in memory of its own: the environment may write to this one again."""
        return Timestep(**{name: field.copy() for name, field in self._asdict().items()})


class VectorEnv(Protocol):
    """N environments, each of one task, that are stepped together."""

    @property
    def spec(self) -> EnvSpec:
        """Observations and actions, the same for each task."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The N names of the tasks, one for each environment."""

    @property
    def num_envs(self) -> int:
        """N."""

    def act(self, action: NDArray[np.integer]) -> None:
        """Take one action [N] in each environment; return at once where they run in threads."""

    def observe(self) -> Timestep:
        """Wait for the last `act` and return what came of it; again the same if called again.

        The arrays may be used again by the next `act` or `restore`: `copy` what is to be kept.
        """

    def save(self) -> list[bytes] | None:
        """Return the N complete states, the current timestep included; None if it cannot be."""

    def restore(self, states: Sequence[bytes]) -> None:
        """Continue exactly from `save()` of environments with the same tasks.

        Raises:
            ValueError: if the states are not of these tasks.
        """

    def close(self) -> None:
        """Free what the environments hold."""
