"""Lead a run through a schedule of faults to its end."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml

from launch.chaos import world
from launch.chaos.faults import Faults
from launch.chaos.history import Event, History, fallen_versions, recovery
from launch.chaos.invariants import Verdict, check_run
from launch.chaos.nodes import Nodes
from launch.chaos.processes import GONE_SECONDS, Driver, actors, left_after, lives
from launch.chaos.schedule import Fault
from launch.config.schema import RunConfig
from launch.run.folder import RunFolder
from learners import checkpoint

ENDLESS = 10**12  # frames: the run goes on until all faults have happened
STALL_SECONDS = 300.0  # without new frames; on a busy machine a driver starts within half of it
STOP_SECONDS = 60.0  # for a stop on a signal
RECOVERY_SECONDS = 60.0  # that the last faults are waited for
TICK_SECONDS = 0.1
LOG = "chaos.log"  # in the run folder: what the run printed


class StalledError(Exception):
    """The run makes no progress."""


class Conductor:
    """A run, its cluster, and what happens to them.

    Args:
        config: of the run.
        run: its folder.
        folder: of the chaos.
        progress: is told of each fault.
    """

    def __init__(
        self, config: RunConfig, run: RunFolder, folder: Path, progress: Callable[[str], None]
    ) -> None:
        self._config = config
        self._run = run
        self._folder = folder
        self._progress = progress
        run.path.mkdir(parents=True, exist_ok=True)
        self._file = folder / "config.yaml"
        self._driver = Driver(self._file, run.path / LOG)
        self._nodes: Nodes | None = None
        self._total = ENDLESS  # frames that the run should reach
        self._problems: list[str] = []  # ends and stalls that were not planned
        self._actors_left: list[str] = []
        self.events: list[Event] = []
        self.history = History(run.metrics_file, lambda: self._driver.lives)

    def go(self, schedule: list[Fault], nodes: int) -> None:
        """Start the run, make the faults happen, stop it, and let it reach its end."""
        actors_needed = self._config.launch.workers + self._config.learner.devices
        self._nodes = Nodes(nodes, cpus=-(-actors_needed // nodes))
        self._write_config(self._nodes.address)
        self._driver.start()
        self.history.start()
        try:
            self._wait(lambda: bool(self.history.samples))
            self._make_happen(schedule, Faults(self._driver, self._nodes, self._folder))
            self._finish()
        except StalledError:
            self._problems.append(f"no new frames for {self.history.quiet:.0f} s")

    def close(self) -> None:
        """End all that was started."""
        self._driver.close()
        if self.history.is_alive():
            self.history.close()
        self._actors_left = left_after(
            GONE_SECONDS,
            lambda: [str(p.pid) for p in actors("WorkerActor") + actors("LearnerActor")],
        )
        if self._nodes:
            self._nodes.close()

    def verdicts(self) -> list[Verdict]:
        """Return what holds of the run, once it is closed."""
        learner = self._config.learner
        fallen = fallen_versions(self.history.samples)
        return [
            *check_run(self._run, self._total, learner.unroll_length * learner.batch_size),
            Verdict("workers never meet a weight version twice", fallen),
            Verdict("the run ends only when it is told to", "; ".join(self._problems)),
            Verdict("no actor outlives the run", ", ".join(self._actors_left)),
        ]

    def _write_config(self, address: str) -> None:
        config, tasks = self._config, self._config.envs.tasks
        tree = config.model_dump(mode="json")
        tree["total_frames"] = ENDLESS
        tree["run_dir"] = str(self._run.path.absolute())
        tree["launch"] |= {"mode": "ray", "address": address}
        if world.can_fail(tasks):
            world.write_tasks(self._folder, tasks)
            tree["imports"] = [*tree["imports"], world.MODULE]
            tree["envs"]["tasks"] = [world.alias(task) for task in tasks]
        self._file.write_text(yaml.safe_dump(tree, sort_keys=False))

    def _make_happen(self, schedule: list[Fault], faults: Faults) -> None:
        """Let each fault happen when it is due, or as soon after as there is a victim.

        The schedule's clock stands while a fault happens: to add a node takes seconds, and what
        became due meanwhile would happen all at once.
        """
        start, due = self.history.now, list(schedule)

        def all_happened() -> bool:
            nonlocal start
            faults.look()
            self._note_the_dead()
            for fault in [f for f in due if f.at <= self.history.now - start]:
                event = Event(self.history.now, fault.kind, "", self._driver.lives)
                hit = faults.attempt(fault)
                start += self.history.now - event.time
                if hit:
                    due.remove(fault)
                    event.detail, event.victim = hit
                    self._add(event)
            return not due

        self._wait(all_happened)
        last = self.history.now
        self._wait(lambda: self._recovered() or self.history.now - last > RECOVERY_SECONDS)

    def _finish(self) -> None:
        """Stop the run as a person would, continue it, and let it reach its last frame."""
        self._driver.send(signal.SIGTERM)
        if (status := self._driver.wait(STOP_SECONDS)) != 0:
            self._problems.append(f"a stop with SIGTERM ended with status {status}")
            self._driver.close()
        newest = next((int(f.name) for f in checkpoint.saved(self._run.checkpoints)), 0)
        self._total = newest + 2 * self._config.log_every_frames
        self._driver.start(f"total_frames={self._total}")
        while (status := self._driver.status) is None:
            self._refuse_stall()
            time.sleep(TICK_SECONDS)
        if status:
            self._problems.append(f"the end was status {status}: {self._driver.last_line()}")

    def _wait(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; continue the run whenever it has ended.

        Raises:
            StalledError: if the frames do not rise any more.
        """
        while not condition():
            self._refuse_stall()
            if (status := self._driver.status) is not None:
                if status != -signal.SIGKILL:
                    self._problems.append(f"status {status}: {self._driver.last_line()}")
                self._driver.start()
            time.sleep(TICK_SECONDS)

    def _recovered(self) -> bool:
        self._note_the_dead()
        samples = list(self.history.samples)
        return all(recovery(event, samples) is not None for event in self.events)

    def _refuse_stall(self) -> None:
        if self.history.quiet > STALL_SECONDS:
            raise StalledError

    def _note_the_dead(self) -> None:
        for event in self.events:
            if event.victim is not None and event.gone is None and not _lives(event.victim):
                event.gone = self.history.now

    def _add(self, event: Event) -> None:
        self.events.append(event)
        happened = Counter(other.kind for other in self.events)[event.kind]
        self._progress(f"{event.time:6.1f} s: {event.kind} ({happened}): {event.detail}")


def _lives(pid: int) -> bool:
    try:
        return lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False
