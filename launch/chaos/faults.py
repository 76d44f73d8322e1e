"""Make each kind of fault happen."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from launch.chaos import world
from launch.chaos.nodes import Nodes
from launch.chaos.processes import Driver, actors
from launch.chaos.schedule import Fault, Kind

# A worker that is killed again and again before its first rollout is retired, as it should be. So
# those are killed that have had time for one.
SEASONED_SECONDS = 3.0


class Hit(NamedTuple):
    """What a fault has hit."""

    detail: str
    victim: int | None = None  # a process that dies of it


class Faults:
    """Makes faults happen in a run.

    Args:
        driver: the process of the run.
        nodes: of its cluster.
        folder: of the chaos, where the environments look.
        clock: the time in seconds.
    """

    def __init__(
        self,
        driver: Driver,
        nodes: Nodes,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._nodes = nodes
        self._folder = folder
        self._clock = clock
        self._seen: dict[psutil.Process, float] = {}  # workers, and since when
        self._spent: set[int] = set()  # processes that have had a fault, which the run must notice
        self._ordered: set[str] = set()  # what an environment has still to do
        self._acts: dict[Kind, Callable[[float], Hit | None]] = {
            "worker killed": self._kill_worker,
            "learner killed": self._kill_learner,
            "driver killed": self._kill_driver,
            "node lost": self._lose_node,
            "node joins": self._add_node,
            "environment raises": lambda _: self._fail("raise"),
            "environment hangs": lambda _: self._fail("hang"),
        }

    def look(self) -> None:
        """Note which workers there are."""
        now = self._clock()
        self._seen = {worker: self._seen.get(worker, now) for worker in actors("WorkerActor")}

    def attempt(self, fault: Fault) -> Hit | None:
        """Make a fault happen; return what it hit, None if that has to be tried again later."""
        return self._acts[fault.kind](fault.draw)

    def _kill_worker(self, draw: float) -> Hit | None:
        now = self._clock()
        ready = [p for p, since in self._seen.items() if now - since >= SEASONED_SECONDS]
        hit = _kill([p for p in ready if p.is_running() and p.pid not in self._spent], draw)
        if hit and hit.victim:
            self._spent.add(hit.victim)
        return hit

    def _kill_learner(self, draw: float) -> Hit | None:
        return _kill(actors("LearnerActor"), draw)

    def _kill_driver(self, _: float) -> Hit | None:
        pid = self._driver.send(signal.SIGKILL)
        self._driver.wait(60)
        return Hit(f"process {pid}")

    def _lose_node(self, draw: float) -> Hit:
        return Hit(f"{self._nodes.lose(draw)} nodes left")

    def _add_node(self, _: float) -> Hit:
        return Hit(f"{self._nodes.add()} nodes")

    def _fail(self, what: str) -> Hit | None:
        """Order a failure, and later ask who has had it."""
        if what not in self._ordered:
            self._ordered.add(what)
            world.order(self._folder, what)
            return None
        pid = world.taken_by(self._folder, what)
        if pid is None:
            return None
        self._ordered.remove(what)
        self._spent.add(pid)
        return Hit(f"process {pid}", pid)


def _kill(processes: list[psutil.Process], draw: float) -> Hit | None:
    if not processes:
        return None
    process = processes[int(draw * len(processes))]
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return None
    return Hit(f"process {process.pid}", process.pid)
