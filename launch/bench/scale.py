"""`srwm bench scale`: measure what a rollout costs the driver, with few workers and with many.

The driver is that of a run (`launch.cluster.flow.RayFlow`), but workers and learner do nothing
(`launch.bench.replay`). A batch is one rollout, which is the most work that a rollout can make for
the driver: a request, an arrival, an update and a report. For comparison, `ray_alone` is the rate
of the same two Ray calls a rollout without the driver.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import psutil
import ray
from rich.table import Table

from launch.bench.replay import ENVS, STEPS, WEIGHTS_BYTES, CountingLearner, ReplayWorker
from launch.cluster.cluster import Cluster
from launch.cluster.flow import RayFlow
from launch.config.schema import RunConfig
from launch.machine.facts import memory_gb
from launch.machine.timing import rounds
from launch.report.table import table

WARM_UP_ROLLOUTS = 4  # of each worker


class ScaleRow(NamedTuple):
    """What the driver does with so many workers."""

    workers: int
    rollouts_per_second: float
    ray_alone: float  # rollouts/s of the bare calls
    driver_seconds: float  # CPU time of a rollout, all threads of the driver's process
    flow_seconds: float  # of these, the thread that runs `RayFlow`; the rest is Ray's
    driver_gb: float  # resident memory of the driver's process
    memory_gb: float  # of all processes and of the object store, shared pages counted once


@dataclass(frozen=True)
class Scale:
    """The driver with few workers and with many."""

    seconds: float  # of each measurement
    rows: list[ScaleRow]

    def as_dict(self) -> dict[str, object]:
        """Return all of it; times in seconds."""
        return {
            "ray": ray.__version__,
            "seconds": self.seconds,
            "warm_up_rollouts": WARM_UP_ROLLOUTS,
            "rollout": [STEPS + 1, ENVS],
            "weights_bytes": WEIGHTS_BYTES,
            "rows": [row._asdict() for row in self.rows],
        }

    def tables(self) -> list[Table]:
        """Return a row for each number of workers."""
        columns = [("workers", "d"), ("rollouts/s", ",.0f"), ("Ray alone", ",.0f")]
        columns += [("driver, us", ",.0f"), ("flow, us", ",.0f")]
        columns += [("driver, GB", ".2f"), ("all, GB", ".2f")]
        in_us = {"driver_seconds": 1e6, "flow_seconds": 1e6}
        rows = [
            [value * in_us.get(name, 1) for name, value in row._asdict().items()]
            for row in self.rows
        ]
        return [table(columns, rows)]

    def summary(self) -> str:
        """Return one line: how the driver's cost grows with workers, and the share of Ray alone."""
        fewest = min(self.rows, key=lambda row: row.workers)
        most = max(self.rows, key=lambda row: row.workers)
        growth = most.driver_seconds / fewest.driver_seconds
        of_ray = most.rollouts_per_second / most.ray_alone
        return (
            f"a rollout costs the driver {growth:.2f} times as much with {most.workers} workers as "
            f"with {fewest.workers}; with {most.workers} it reaches {of_ray:.2f} of Ray alone"
        )


class ReplayCluster(Cluster):
    """Starts actors that do nothing."""

    worker_class = ReplayWorker
    learner_class = CountingLearner


def scale(workers: Sequence[int], seconds: float, step: Callable[[str], None]) -> Scale:
    """Measure the driver for `seconds` with each number of workers.

    Args:
        workers: the numbers of workers, measured one after the other.
        seconds: of each, after all have started and warmed up.
        step: called with the name of what is measured next.
    """
    rows = []
    for number in workers:
        step(f"{number} workers")
        rows.append(_measure(number, seconds))
    return Scale(seconds, rows)


def _measure(workers: int, seconds: float) -> ScaleRow:
    config = _config(workers)
    with closing(RayFlow(config, cluster=ReplayCluster(config))) as flow:
        # An actor that still starts takes the cores that the others are measured on.
        actors = [worker.actor for worker in flow.pool.workers.values()]
        ray.get([worker.__ray_ready__.remote() for worker in actors])
        for _ in range(WARM_UP_ROLLOUTS * workers):
            flow.update()
        started, process, thread = time.perf_counter(), time.process_time(), time.thread_time()
        rollouts = sum(len(flow.update().rollouts) for _ in rounds(seconds))
        elapsed = time.perf_counter() - started
        process, thread = time.process_time() - process, time.thread_time() - thread
        return ScaleRow(
            workers,
            rollouts / elapsed,
            _ray_alone(flow, seconds),
            process / rollouts,
            thread / rollouts,
            driver_gb=psutil.Process().memory_info().rss / 1e9,
            memory_gb=memory_gb(),
        )


def _ray_alone(flow: RayFlow, seconds: float) -> float:
    """Return rollouts/s of bare calls: a worker is asked again once its last was learnt from."""
    learner = flow.learners.actors[0]

    def ask(worker: Any) -> ray.ObjectRef:
        rollout, _ = worker.rollout.remote(flow.weights)
        report, _, _ = learner.update.remote(0, [(0, ENVS)], False, False, rollout)
        return report

    asked = {ask(worker.actor): worker.actor for worker in flow.pool.workers.values()}

    def turn() -> None:
        (report,), _ = ray.wait([*asked], num_returns=1)
        worker = asked.pop(report)
        asked[ask(worker)] = worker

    # An actor answers in order: after these it has also done what the flow had asked for.
    for _ in range(WARM_UP_ROLLOUTS * len(flow.pool.workers)):
        turn()
    started, rollouts = time.perf_counter(), 0
    for _ in rounds(seconds):
        turn()
        rollouts += 1
    return rollouts / (time.perf_counter() - started)


def _config(workers: int) -> RunConfig:
    """Return what the driver reads: the sizes, and an environment that nobody makes."""
    return RunConfig.model_validate(
        {
            "total_frames": 2**62,
            "envs": {"tasks": ["bigfish"]},
            "learner": {"unroll_length": STEPS, "batch_size": ENVS},
            "launch": {"workers": workers, "envs_per_worker": ENVS},
        }
    )
