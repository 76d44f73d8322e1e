"""ProcGen: many games in one vector environment, stepped by its C++ threads."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from envs.config import EnvsConfig
from envs.registry import import_procgen
from envs.vector import EnvSpec, Timestep

PROCGEN_SPEC = EnvSpec(observation_shape=(64, 64, 3), observation_dtype="uint8", num_actions=15)


REMEDY = "pip install procgen-mirror (Python 3.10: procgen)"


@contextmanager
def told_if_missing() -> Iterator[None]:
    """Raise a ValueError that says what to do if ProcGen is not there or does not open."""
    try:
        yield
    except (ImportError, OSError, RuntimeError, AssertionError) as error:
        raise ValueError(f"envs.tasks: ProcGen does not run here ({error}): {REMEDY}") from None


class ProcgenVectorEnv:
    """N environments of ProcGen games; environment i plays `tasks[i]`.

    Args:
        config: levels, mode and threads.
        tasks: the N games.
        seed: decides the order of the levels and the games' own chance, 0 <= seed < 2**31.
        render: whether `frame` can be called; takes 30 ms for a step of each environment.

    Raises:
        ValueError: if ProcGen is not there or does not open.
    """

    spec = PROCGEN_SPEC

    def __init__(
        self, config: EnvsConfig, tasks: Sequence[str], *, seed: int, render: bool = False
    ) -> None:
        self.tasks = tuple(tasks)
        self.num_envs = len(self.tasks)
        # A shorter list would be played in turn, but has to divide N or ends the process.
        names = ",".join(self.tasks)
        # ProcGen takes `exploration` only without levels; it is this level of the hard mode.
        mode = config.distribution_mode
        with told_if_missing():
            self._env = import_procgen().ProcgenGym3Env(
                num=self.num_envs,
                env_name=names,
                distribution_mode="hard" if mode == "exploration" else mode,
                num_levels=config.num_levels,
                start_level=config.start_level,
                num_threads=config.threads,
                rand_seed=seed,
                render_mode="rgb_array" if render else None,
            )

    def act(self, action: NDArray[np.integer]) -> None:
        """See `VectorEnv`; returns at once if there are threads."""
        self._env.act(action)

    def observe(self) -> Timestep:
        """See `VectorEnv`."""
        reward, obs, first = self._env.observe()
        return Timestep(obs["rgb"], reward, first)

    def save(self) -> list[bytes] | None:
        """See `VectorEnv`; about 23 kB an environment."""
        states: list[bytes] = self._env.callmethod("get_state")
        return states

    def restore(self, states: Sequence[bytes]) -> None:
        """See `VectorEnv`."""
        games = tuple(_game_of(state) for state in states)
        if games != self.tasks:  # ProcGen would end the process
            raise ValueError(f"the states are of {list(games)}, not of {list(self.tasks)}")
        self._env.callmethod("set_state", list(states))

    def close(self) -> None:
        """See `VectorEnv`."""
        self._env.close()

    def frame(self) -> NDArray[np.uint8]:
        """Return the current frame of the first environment, [512, 512, 3], for people."""
        frame: NDArray[np.uint8] = self._env.get_info()[0]["rgb"]
        return frame

    def level(self) -> int:
        """Return the level that the first environment plays."""
        return int(self._env.get_info()[0]["level_seed"])

    def action_names(self) -> tuple[str, ...]:
        """Return what each action does: directions, a key with a meaning of its own, or nothing."""
        return tuple(_action_name(keys) for keys in self._env.get_combos())


def _action_name(keys: Sequence[str]) -> str:
    name = "+".join(keys).lower()
    return f"key {name}" if len(name) == 1 else name or "nothing"


def _game_of(state: bytes) -> str:
    """Return the game in a state's head: a version, the length of the name, the name."""
    if len(state) < 8:
        return "?"
    _, length = struct.unpack_from("<ii", state)
    return state[8 : 8 + max(0, length)][:32].decode("ascii", "replace")
