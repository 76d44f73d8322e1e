"""`srwm bench e2e`: measure the whole system, and its parts alone before and after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import harmonic_mean
from typing import NamedTuple

import torch
from rich.table import Table

from launch.config.schema import RunConfig
from launch.flow.resources import (
    acting_device,
    cpu_count,
    learners_at_once,
    learning_device,
    share_a_gpu,
    worker_threads,
)
from launch.machine.parts import (
    acting_rate,
    environments_rate,
    in_processes,
    learning_rate,
    staging_rate,
    whole,
)
from launch.report.table import table

ADVICE = {
    "staging": "more learner.devices, which share the copies",
    "learning": "a GPU, or a smaller agent.encoder",
    "acting": "more launch.envs_per_worker (larger batches), or more launch.workers on more cores",
    "environments": "more envs.threads, or more launch.workers on more cores",
}


class Parts(NamedTuple):
    """Frames per second of the parts alone."""

    environments: float  # stepping with random actions, on all cores
    acting: float  # the network and the drawing of actions, on all cores or the GPU
    staging: float  # making batches of rollouts, and on a GPU uploading them
    learning: float  # whole learner updates, on all cores or the GPUs of all learners


@dataclass(frozen=True)
class EndToEnd:
    """Frames per second of the whole, and of the parts alone before and after it."""

    config: RunConfig
    before: Parts
    after: Parts
    total: float  # consumed by the learner while all of it runs
    memory_gb: float  # proportional resident memory of all processes, at its highest

    @property
    def parts(self) -> Parts:
        """The parts while the whole ran, estimated: the speed of a machine drifts."""
        return Parts(*(harmonic_mean(both) for both in zip(self.before, self.after, strict=True)))

    @property
    def bound(self) -> float:
        """The rate if parts on the same cores or GPU took turns, and all else cost nothing."""
        return 1 / self._seconds(self._busiest)

    @property
    def ratio(self) -> float:
        """The share of the bound that is reached."""
        return self.total / self.bound

    @property
    def limit(self) -> str:
        """The slowest part where a frame takes longest."""
        return max(self._busiest, key=lambda part: self._seconds([part]))

    @property
    def _busiest(self) -> list[str]:
        """The parts that take turns where a frame takes longest."""
        where = defaultdict(list)
        where["cpu"].append("environments")
        where[acting_device(self.config)].append("acting")
        if learning_device(self.config) == "cpu":  # where learning includes staging
            where["cpu"].append("learning")
        else:
            together = self.config.launch.mode == "local" or share_a_gpu(self.config)
            where["cuda" if together else "another GPU"].append("learning")
            where["copies"].append("staging")  # it has a thread and the copy engine to itself
        return max(where.values(), key=self._seconds)

    def _seconds(self, parts: Iterable[str]) -> float:
        """Return the seconds of a frame in these parts."""
        return sum(1 / getattr(self.parts, part) for part in parts)

    def as_dict(self) -> dict[str, object]:
        """Return all of it."""
        return {
            **self.parts._asdict(),
            "before": self.before._asdict(),
            "after": self.after._asdict(),
            "total": self.total,
            "memory_gb": self.memory_gb,
            "bound": self.bound,
            "ratio": self.ratio,
        }

    def tables(self) -> list[Table]:
        """Return the parts, the bound and the whole."""
        names = (f"{name} alone" for name in Parts._fields)
        rows: list[tuple[object, ...]] = [
            *zip(names, self.before, self.after, self.parts, strict=True),
            ("bound: parts that share cores take turns", "", "", self.bound),
            ("end to end", "", "", self.total),
            ("end to end / bound", "", "", f"{self.ratio:.2f}"),
            ("memory of all processes, GB", "", "", f"{self.memory_gb:.2f}"),
        ]
        rates = [(title, ",.0f") for title in ("before", "after", "mean")]
        return [table([("frames per second", ""), *rates], rows)]

    def summary(self) -> str:
        """Return one line: what the run is bound by, and what to change."""
        if self.ratio < 0.75:
            return (
                f"bound by waiting: {1 - self.ratio:.0%} of the bound is lost between the parts; "
                "try launch.worker_threads, launch.learner_threads and launch.queue_batches"
            )
        return f"bound by {self.limit}: {ADVICE[self.limit]}"


def end_to_end(config: RunConfig, seconds: float, step: Callable[[str], None]) -> EndToEnd:
    """Measure the whole for `seconds`, and for a share of them the parts alone before and after it.

    Args:
        config: of the run to measure.
        seconds: of the whole after its warm-up.
        step: called with the name of what is measured next.
    """
    step("the parts alone")
    before = _parts(config, seconds / 3)
    step(f"the whole, mode {config.launch.mode}")
    total, memory = whole(config, seconds)
    step("the parts alone, again")
    return EndToEnd(config, before, _parts(config, seconds / 3), total, memory)


def _parts(config: RunConfig, seconds: float) -> Parts:
    # As many workers as the cores can run at once, however many the run has.
    number = max(1, cpu_count() // worker_threads(config))
    workers = in_processes(number, _worker_parts, config, seconds / 2)
    ((staging, learning),) = in_processes(1, _learner_parts, config, seconds / 2)
    environments, acting = (sum(rates) for rates in zip(*workers, strict=True))
    return Parts(environments, acting, staging, learning)


def _worker_parts(config: RunConfig, seconds: float) -> tuple[float, float]:
    torch.set_num_threads(worker_threads(config))
    return environments_rate(config, seconds / 2), acting_rate(config, seconds / 2)


def _learner_parts(config: RunConfig, seconds: float) -> tuple[float, float]:
    learners = learners_at_once(config)
    staging, learning = staging_rate(config, seconds / 8), learning_rate(config, 7 * seconds / 8)
    return learners * staging, learners * learning
