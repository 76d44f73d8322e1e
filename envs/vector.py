"""The contract of a vector environment: N environments that are stepped together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
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


NO_FINAL: Mapping[int, NDArray[np.generic]] = MappingProxyType({})
"""The `final` of a timestep at which no episode was truncated."""


class Timestep(NamedTuple):
    """What N environments show at one moment.

    `first[i]` says that `obs[i]` opens an episode; `reward[i]` arrived together with `obs[i]`.
    Where `first[i]`, it is therefore the last reward of the episode that has just ended, and 0 at
    the very start. On the step that ends an episode, `obs[i]` is the next episode's first
    observation.

    An episode that terminates is over: nothing more could be earned. One that is truncated, as by a
    time limit, would have gone on, so learning needs the value of its last observation. `final[i]`
    is that observation, for each environment i whose episode was truncated at this step and did not
    terminate at it (partial-episode bootstrapping, Pardo et al. 2018, "Time limits in reinforcement
    learning"). ProcGen truncates nothing: `final` is always empty.
    """

    obs: NDArray[np.generic]  # [N, ...], of the spec's shape and dtype
    reward: NDArray[np.float32]  # [N]
    first: NDArray[np.bool_]  # [N]
    final: Mapping[int, NDArray[np.generic]] = NO_FINAL  # index -> [...], as a row of obs

    def copy(self) -> Timestep:
        """Return the same in memory of its own: the environment may write to this one again.

        The arrays of `final` are shared: no environment writes to them again.
        """
        return self._replace(
            obs=self.obs.copy(), reward=self.reward.copy(), first=self.first.copy()
        )


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
        """Return the N complete states; None if it cannot be.

        The current timestep is included, but for its `final`: who saves has observed it before.
        """

    def restore(self, states: Sequence[bytes]) -> None:
        """Continue exactly from `save()` of environments with the same tasks.

        Raises:
            ValueError: if the states are not of these tasks.
        """

    def close(self) -> None:
        """Free what the environments hold."""
