"""Supervise the rollout workers: ask those that are idle, restart those that die."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayActorError

from launch.errors import RunError
from launch.flow.base import RolloutInfo

log = logging.getLogger(__name__)

# A worker that dies this often without finishing a rollout will not get better.
DEATHS_IN_A_ROW = 3


class RolloutRequest(NamedTuple):
    """A rollout that a worker has been asked for."""

    worker: int
    rollout: ray.ObjectRef


class WorkerPool:
    """The workers, and the rollouts that they have been asked for.

    Args:
        start: starts a worker, given its index and a number that differs each time.
        size: the number of workers.
        first_restart: the number of the first start; each start after it has the next one.
    """

    def __init__(self, start: Callable[[int, int], Any], size: int, first_restart: int) -> None:
        self._start = start
        self._restart = first_restart
        self.actors = [self._new(index) for index in range(size)]
        self.requests: dict[ray.ObjectRef, RolloutRequest] = {}  # by their RolloutInfo's reference
        self._idle = deque(range(size))
        self._deaths = [0] * size

    @property
    def idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return bool(self._idle)

    def ask(self, weights: ray.ObjectRef) -> None:
        """Ask the worker that has been idle longest for a rollout."""
        index = self._idle.popleft()
        rollout, info = self.actors[index].rollout.remote(weights)
        self.requests[info] = RolloutRequest(index, rollout)

    def collect(self, done: ray.ObjectRef) -> tuple[ray.ObjectRef, RolloutInfo] | None:
        """Return a finished rollout; or None if its worker died, which is restarted.

        Raises:
            RunError: if the worker dies again and again.
        """
        request = self.requests.pop(done)
        self._idle.append(request.worker)
        try:
            info: RolloutInfo = ray.get(done)
        except RayActorError as error:
            self._replace(request.worker, error)
            return None
        self._deaths[request.worker] = 0
        return request.rollout, info

    def close(self) -> None:
        """Stop the workers."""
        for actor in self.actors:
            ray.kill(actor)

    def _new(self, index: int) -> Any:
        self._restart += 1
        return self._start(index, self._restart)

    def _replace(self, index: int, error: RayActorError) -> None:
        self._deaths[index] += 1
        reason = first_line(error)
        if self._deaths[index] >= DEATHS_IN_A_ROW:
            raise RunError(f"worker {index} dies again and again: {reason}") from error
        log.warning("worker %d died and is restarted: %s", index, reason)
        self.actors[index] = self._new(index)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, its type's name if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)
