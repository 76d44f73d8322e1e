"""`srwm bench scale`: what a rollout costs the driver, with few workers and with many.

The driver is that of a run (`launch.cluster.flow.RayFlow`), but workers and learner do nothing
(`launch.bench.replay`). A batch is one rollout, so that each costs the driver all that one can: an
order, an arrival, an update and a report. Beside it stands what Ray makes of the same two calls a
rollout without the driver, each worker asked again when its last rollout was learnt from.
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

from launch.bench.replay import (
    ENVS,
    STEPS,
    WEIGHTS_BYTES,
    CountingLearner,
    ReplayWorker,
    WholeReplayWorker,
)
from launch.bench.targets import Figure
from launch.cluster.cluster import Cluster
from launch.cluster.flow import RayFlow
from launch.config.schema import RunConfig
from launch.machine.facts import machine, memory_gb
from launch.report.table import table

WARM_UP_ROLLOUTS = 4  # of each worker
WANTED = 500  # rollouts/s of references, on two cores
# What the same machine differs by from one minute to the next is less than this.
GROWTH = 1.25
OF_RAY = 0.8  # orders, batches and new weights may cost a fifth of what Ray could do without them


class ScaleRow(NamedTuple):
    """What the driver does with so many workers."""

    workers: int
    rollouts_per_second: float
    ray_alone: float  # rollouts/s of the bare calls
    driver_seconds: float  # of the processor for a rollout, all threads of the driver's process
    flow_seconds: float  # of these, what the thread takes that runs `RayFlow`; the rest is Ray's
    driver_gb: float  # resident memory of the driver's process
    memory_gb: float  # of all processes, shared pages counted once, and of the object store


@dataclass(frozen=True)
class Scale:
    """The driver with few workers and with many."""

    whole: bool  # whether whole rollouts went through the object store
    seconds: float  # of each measurement
    rows: list[ScaleRow]

    @property
    def figures(self) -> list[Figure]:
        """What this project wants of the driver."""
        fewest = min(self.rows, key=lambda row: row.workers)
        most = max(self.rows, key=lambda row: row.workers)
        return [
            Figure(
                f"rollouts/s of {most.workers} workers",
                most.rollouts_per_second,
                "at least",
                WANTED,
            ),
            Figure(
                f"driver's time per rollout, {most.workers} workers / {fewest.workers}",
                most.driver_seconds / fewest.driver_seconds,
                "at most",
                GROWTH,
            ),
            Figure(
                f"rollouts/s of {most.workers} workers / Ray alone",
                most.rollouts_per_second / most.ray_alone,
                "at least",
                OF_RAY,
            ),
        ]

    def as_dict(self) -> dict[str, object]:
        """Return the figures with the machine and versions they belong to; times in seconds."""
        return {
            **machine(),
            "ray": ray.__version__,
            "whole": self.whole,
            "seconds": self.seconds,
            "warm_up_rollouts": WARM_UP_ROLLOUTS,
            "rollout": [STEPS + 1, ENVS],
            "weights_bytes": WEIGHTS_BYTES,
            "rows": [row._asdict() for row in self.rows],
            "figures": [figure.as_dict() for figure in self.figures],
        }


class ReplayCluster(Cluster):
    """Starts actors that do nothing."""

    worker_class = ReplayWorker
    learner_class = CountingLearner


class WholeReplayCluster(ReplayCluster):
    """The same, and rollouts are as large as they are."""

    worker_class = WholeReplayWorker


def scale(
    workers: Sequence[int], seconds: float, whole: bool, step: Callable[[str], None]
) -> Scale:
    """Measure the driver for `seconds` with each number of workers.

    Args:
        workers: how many there are, each number in its turn.
        seconds: of each, after all have started and warmed up.
        whole: whether whole rollouts go through the object store.
        step: called with the name of what is measured next.
    """
    rows = []
    for number in workers:
        step(f"{number} workers")
        rows.append(_measure(number, seconds, WholeReplayCluster if whole else ReplayCluster))
    return Scale(whole, seconds, rows)


def _measure(workers: int, seconds: float, cluster_class: type[Cluster]) -> ScaleRow:
    config = _config(workers)
    with closing(RayFlow(config, cluster=cluster_class(config))) as flow:
        # An actor that still starts takes the cores that the others are measured on.
        actors = [worker.actor for worker in flow.pool.workers.values()]
        ray.get([worker.__ray_ready__.remote() for worker in actors])
        for _ in range(WARM_UP_ROLLOUTS * workers):
            flow.update()
        rollouts, started = 0, time.perf_counter()
        process, thread = time.process_time(), time.thread_time()
        while (elapsed := time.perf_counter() - started) < seconds or not rollouts:
            rollouts += len(flow.update().rollouts)
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

    # Actors do what they are asked in order: with this, what the flow had asked for is done too.
    for _ in range(WARM_UP_ROLLOUTS * len(flow.pool.workers)):
        turn()
    rollouts, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or not rollouts:
        turn()
        rollouts += 1
    return rollouts / elapsed


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


def result_table(result: Scale) -> Table:
    """Return the figures as a table."""
    return table(
        [],
        [
            "workers",
            "rollouts/s",
            "Ray alone",
            "driver, us",
            "its own thread, us",
            "driver, GB",
            "all, GB",
        ],
        (
            (
                str(row.workers),
                f"{row.rollouts_per_second:,.0f}",
                f"{row.ray_alone:,.0f}",
                f"{row.driver_seconds * 1e6:,.0f}",
                f"{row.flow_seconds * 1e6:,.0f}",
                *(f"{row.driver_gb:.2f}", f"{row.memory_gb:.2f}"),
            )
            for row in result.rows
        ),
    )
