"""Supervise the rollout workers: ask those that are idle, replace those that fail or hang."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError

from launch.cluster.faults import LostInputError, lost_input, reason
from launch.errors import RunError
from launch.flow.base import RolloutInfo

log = logging.getLogger(__name__)

# A worker that fails this often without a rollout will not get better.
FAILURES_IN_A_ROW = 3
# Seconds until a worker is taken for hung: at least so many; or a multiple of the slowest rollout
# that any worker took. The first rollout also makes the environments and compiles kernels.
LEAST_SECONDS, TIMES_SLOWEST, FIRST_SECONDS = 30.0, 20.0, 300.0


class RolloutRequest(NamedTuple):
    """What a worker has been asked for."""

    worker: int
    rollout: ray.ObjectRef | None  # None: only where it runs, which it says once it has a place
    asked: float  # when, in seconds of the pool's clock


@dataclass
class Worker:
    """A rollout worker, as the pool sees it."""

    actor: Any
    tasks: tuple[str, ...]  # of its environments
    node: str | None = None  # where it runs, once it has a place
    failures: int = 0  # since its last rollout
    fresh: bool = True  # no rollout since it was started

    def __str__(self) -> str:
        where = f" on {self.node}" if self.node else ""
        return f"({', '.join(self.tasks)}){where}"


class WorkerPool:
    """The workers, and what they have been asked for.

    Args:
        start: starts a worker, given its index and a number that differs each time.
        tasks: the tasks of each worker of the run, by its index.
        size: the number of workers.
        faults: counts what goes wrong.
        first_restart: the number before that of the first start; each start has the next one.
        timeout: seconds without a rollout after which a worker is replaced; by default they follow
            from the slowest rollout so far.
        clock: the time in seconds.
    """

    def __init__(
        self,
        start: Callable[[int, int], Any],
        tasks: Callable[[int], Sequence[str]],
        size: int,
        faults: Counter[str],
        first_restart: int = 0,
        timeout: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._tasks = tasks
        self._faults = faults
        self._restart = first_restart
        self._timeout = timeout
        self._clock = clock
        self._slowest = 0.0  # seconds of a rollout
        self.requests: dict[ray.ObjectRef, RolloutRequest] = {}
        self.workers: dict[int, Worker] = {}  # by index, without those that are retired
        self._idle: deque[int] = deque()
        self._size = 0  # with those that are retired
        self.grow(size)

    @property
    def idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return bool(self._idle)

    @property
    def unplaced(self) -> list[int]:
        """The workers for which the cluster has had no place so far."""
        return [index for index, worker in self.workers.items() if worker.node is None]

    def grow(self, number: int) -> None:
        """Add so many workers."""
        for index in range(self._size, self._size + number):
            self.workers[index] = Worker(None, tuple(dict.fromkeys(self._tasks(index))))
            self._begin(index)
        self._size += number

    def ask(self, weights: ray.ObjectRef) -> None:
        """Ask the worker that has been idle longest for a rollout."""
        index = self._idle.popleft()
        rollout, info = self.workers[index].actor.rollout.remote(weights)
        self.requests[info] = RolloutRequest(index, rollout, self._clock())

    def collect(self, done: ray.ObjectRef) -> tuple[ray.ObjectRef, RolloutInfo] | None:
        """Return a finished rollout; None if there is none, because its worker started or failed.

        Raises:
            LostInputError: if the weights that the worker was given are lost.
            RunError: if a task has no worker left.
        """
        request = self.requests.pop(done)
        worker = self.workers[request.worker]
        try:
            answer = ray.get(done)
        except RayError as error:
            if lost_input(error):
                self._idle.append(request.worker)
                self._faults["rollouts_lost"] += 1
                raise LostInputError from error
            self._replace(request.worker, reason(error), str(error))
            return None
        self._idle.append(request.worker)
        if request.rollout is None:
            worker.node = answer
            return None
        if not worker.fresh:
            self._slowest = max(self._slowest, self._clock() - request.asked)
        worker.failures, worker.fresh = 0, False
        return request.rollout, answer

    def replace_overdue(self) -> None:
        """Replace the workers that have taken too long over a rollout.

        Raises:
            RunError: if a task has no worker left.
        """
        late = [ref for ref, request in self.requests.items() if self._overdue(request)]
        # One that has answered is not late: it may be the driver that stood still.
        answered = ray.wait(late, num_returns=len(late), timeout=0)[0] if late else []
        for ref in late:
            if ref not in answered:
                request = self.requests.pop(ref)
                seconds = self._clock() - request.asked
                self._replace(request.worker, f"no rollout for {seconds:.0f} s")

    def describe(self) -> str:
        """Return what the workers do, the one that has been busy longest first."""
        now = self._clock()
        busy = sorted(
            (request.asked, request.worker)
            for request in self.requests.values()
            if request.rollout is not None
        )
        parts = []
        if busy:
            asked, index = busy[0]
            which = f"worker {index} {self.workers[index]}"
            parts.append(f"{which} has worked on a rollout for {now - asked:.0f} s")
        if busy[1:]:
            parts.append(f"{len(busy) - 1} other workers work on theirs")
        if unplaced := self.unplaced:
            parts.append(f"workers {', '.join(map(str, unplaced))} start or wait for a free CPU")
        if self._idle:
            parts.append(f"{len(self._idle)} workers are idle")
        return ", ".join(parts)

    def close(self) -> None:
        """Stop the workers."""
        for worker in self.workers.values():
            ray.kill(worker.actor)

    def _begin(self, index: int) -> None:
        """Start a worker; its first answer is that it has a place."""
        self._restart += 1
        worker = self.workers[index]
        worker.actor = self._start(index, self._restart)
        worker.node, worker.fresh = None, True
        self.requests[worker.actor.node.remote()] = RolloutRequest(index, None, self._clock())

    def _overdue(self, request: RolloutRequest) -> bool:
        if request.rollout is None:
            return False  # it may wait for a free CPU as long as it takes
        least = FIRST_SECONDS if self.workers[request.worker].fresh else LEAST_SECONDS
        allowed = self._timeout or max(least, TIMES_SLOWEST * self._slowest)
        return self._clock() - request.asked > allowed

    def _replace(self, index: int, why: str, details: str = "") -> None:
        worker = self.workers[index]
        worker.failures += 1
        ray.kill(worker.actor)
        if worker.failures >= FAILURES_IN_A_ROW:
            self._retire(index, why, details)
            return
        self._faults["worker_restarts"] += 1
        log.warning("worker %d %s died or failed and is restarted: %s", index, worker, why)
        self._begin(index)

    def _retire(self, index: int, why: str, details: str) -> None:
        """Go on without a worker, if its tasks have others."""
        worker = self.workers.pop(index)
        self._faults["workers_retired"] += 1
        if details:
            log.error("%s", details)  # the traceback from its process
        log.error(
            "worker %d %s failed %d times in a row and is retired: %s",
            index,
            worker,
            worker.failures,
            why,
        )
        played = {task for other in self.workers.values() for task in other.tasks}
        alone = [task for task in worker.tasks if task not in played]
        if alone:
            raise RunError(
                f"task {', '.join(alone)}: no worker is left, the last one failed "
                f"{worker.failures} times in a row: {why}"
            )
