"""One environment of Gymnasium or gym, each call checked against its contract."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.directory import restore_directory
from envs.faults import EnvFault, one_line
from envs.observations import Reader
from envs.watchdog import WATCHDOG

log = logging.getLogger(__name__)


class Step(NamedTuple):
    """What a step returned."""

    observation: NDArray[Any]  # of the spec's shape
    reward: float
    terminated: bool
    truncated: bool


class CheckedEnv:
    """An environment whose faults name its task.

    Whatever it raises becomes an `EnvFault`, also an attempt to end the process; so does a result
    that is not what its spaces say. If it changes the working directory, that is undone.

    Args:
        task: its name, for errors.
        env: the environment.
        read: makes an array of its observations.
    """

    def __init__(self, task: str, env: Any, read: Reader) -> None:
        self.task = task
        self.env = env
        self._read = read
        self._steps = 0  # of the episode
        self._first_action = int(env.action_space.start)

    def reset(self, seed: int | None = None) -> NDArray[Any]:
        """Open an episode and return its first observation.

        Raises:
            EnvFault: if that fails.
        """
        self._steps = 0
        with self.guard("reset()"):
            result = self.env.reset() if seed is None else self.env.reset(seed=seed)
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
            raise self._fault(
                "reset()",
                f"must return (observation, info), an info being a dict, not {_shape_of(result)}",
            )
        return self._observation("reset()", result[0])

    def step(self, action: int) -> Step:
        """Take the action 0..A-1.

        Raises:
            EnvFault: if that fails.
        """
        with self.guard("step()"):
            result = self.env.step(self._first_action + action)
        if not (isinstance(result, tuple) and len(result) == 5):
            raise self._fault(
                "step()",
                "must return (observation, reward, terminated, truncated, info), "
                f"not {_shape_of(result)}",
            )
        observation, reward, terminated, truncated, _ = result
        step = Step(
            self._observation("step()", observation),
            self._reward(reward),
            self._flag("terminated", terminated),
            self._flag("truncated", truncated),
        )
        self._steps += 1
        return step

    def close(self) -> None:
        """Close the environment. A fault is only logged: what was learnt must still be saved."""
        try:
            with self.guard("close()"):
                self.env.close()
        except EnvFault as fault:
            log.warning("%s", fault)

    @contextlib.contextmanager
    def guard(self, call: str) -> Iterator[None]:
        """Turn what is raised inside into an `EnvFault` of `call`."""
        before = os.getcwd()
        try:
            with WATCHDOG.watch(f"task {self.task!r}: {call}"):
                yield
        except EnvFault:
            raise
        except (Exception, SystemExit) as error:
            raise self._fault(call, f"raised {one_line(error)}") from error
        finally:
            restore_directory(before, self.task)

    def _observation(self, call: str, observation: Any) -> NDArray[Any]:
        try:
            return self._read(observation)
        except ValueError as error:
            raise self._fault(call, f"returned an observation that {error}") from None

    def _reward(self, reward: Any) -> float:
        try:
            with np.errstate(over="ignore"):
                value = float(np.float32(reward))
        except (TypeError, ValueError):
            raise self._fault("step()", f"returned the reward {reward!r:.60}") from None
        if not math.isfinite(value):
            raise self._fault("step()", f"returned the reward {reward!r:.60} (as float32 {value})")
        return value

    def _flag(self, name: str, value: Any) -> bool:
        if isinstance(value, bool | np.bool_):
            return bool(value)
        if isinstance(value, int | np.integer) and value in (0, 1):
            return bool(value)
        raise self._fault("step()", f"returned {name} {value!r:.60}: it must be a bool")

    def _fault(self, call: str, problem: str) -> EnvFault:
        return EnvFault(self.task, call, problem, self._steps)


def _shape_of(result: Any) -> str:
    if isinstance(result, tuple):
        return f"a tuple of {len(result)}"
    return f"a {type(result).__name__}"
