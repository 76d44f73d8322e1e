"""`launch.workers=auto`, `launch.envs_per_worker=auto`: from what acting and learning cost here.

A worker acts on one core (or as many as `launch.worker_threads`), or waits there for a GPU. So many
are needed as keep up with the learners, which learn on GPUs or, by turns with the workers, on the
same cores.
"""

from __future__ import annotations

import logging
import math
from typing import NamedTuple

import torch

from launch.config.schema import LaunchConfig, RunConfig, UnsettledLaunch
from launch.errors import UserError
from launch.flow.resources import (
    acting_device,
    at_once_on_cores,
    cpu_count,
    learner_threads,
    room,
    share_a_gpu,
    share_out,
    worker_threads,
)
from launch.machine.parts import acting_rate, apart, environments_rate, learning_rate

log = logging.getLogger(__name__)

SIZES = {"cpu": (12, 24, 48, 96), "cuda": (48, 96, 192, 384, 768)}  # of a worker, as far as tried
GOOD_ENOUGH = 0.9  # of the rate of the best size
FEWEST_ENVIRONMENTS = 48  # of all workers: the paper's
SECONDS = 1.0  # of each measurement of a worker
LEARNING_SECONDS = 3.0  # an update takes up to a second or two on few cores


class Speed(NamedTuple):
    """Frames per second of the parts alone; the last two only where workers are to be chosen."""

    acting: dict[int, float]  # of a worker, by the number of its environments
    environments: float = math.nan  # of a worker
    learning: float = math.nan  # of a learner, with its threads or its GPU


class Machine(NamedTuple):
    """Where the parts run."""

    cores: int
    gpus: int


def settle(config: RunConfig) -> RunConfig:
    """Return the configuration with numbers for what is `auto`, measuring here what they hang on.

    Raises:
        UserError: if no number of workers would do, or environments do not go together.
        RunError: if what the learner learns while it is measured is not finite, or if the process
            that measures dies.
    """
    launch = config.launch
    if not isinstance(launch, UnsettledLaunch):
        return config
    workers = None if "workers" in launch.auto else launch.workers
    envs = None if "envs_per_worker" in launch.auto else launch.envs_per_worker
    machine = Machine(cpu_count(), torch.cuda.device_count())
    if launch.mode == "local":
        threads = learner_threads(config)
        workers = workers or _step(config, envs)  # more would only take turns
    else:
        threads = worker_threads(config) if workers else launch.worker_threads or 1
        share_out(machine.gpus, config, workers or _step(config, envs))
    if not (workers and envs):
        keys = " and ".join(f"launch.{key}" for key in launch.auto)
        log.info("measuring acting and learning here for %s", keys)
        try:
            (speed,) = apart(1, _measure, config, threads, workers, envs)
        except ValueError as error:
            raise UserError(str(error)) from None
        workers, envs = layout(speed, machine, config, workers, envs)
    log.info("launch.workers=%d launch.envs_per_worker=%d", workers, envs)
    settled = {**launch.model_dump(), "workers": workers, "envs_per_worker": envs}
    del settled["auto"]
    if "workers" in launch.auto and launch.mode == "ray":
        settled["worker_threads"] = threads
    return config.model_copy(update={"launch": LaunchConfig(**settled)})


def layout(
    speed: Speed, machine: Machine, config: RunConfig, workers: int | None, envs: int | None
) -> tuple[int, int]:
    """Return the number of workers and of the environments of each.

    Args:
        speed: what was measured.
        machine: where; it has room for some number of workers.
        config: of the run.
        workers: how many, if that is settled.
        envs: of each worker, if that is settled.
    """
    size = _good_size(speed.acting)
    if workers is None:
        most, step = _most_workers(machine, config), _step(config, envs)
        workers = _busy_workers(speed, size, machine, config)
        if envs:
            workers = max(workers, min(math.ceil(FEWEST_ENVIRONMENTS / envs), most))
        most = min(max(most, step), room(machine.gpus, config))
        workers = min(_multiple(workers, step), most // step * step)
    if envs is None:
        envs = max(size, math.ceil(FEWEST_ENVIRONMENTS / workers))
        envs = _multiple(envs, _step(config, workers))
    return workers, envs


def _good_size(acting: dict[int, float]) -> int:
    """Return the smallest number of environments that is good enough."""
    return min(size for size, rate in acting.items() if rate >= GOOD_ENOUGH * max(acting.values()))


def _busy_workers(speed: Speed, size: int, machine: Machine, config: RunConfig) -> int:
    """Return how many workers keep up with the learners; what shares cores or a GPU takes turns."""
    launch, most = config.launch, _most_workers(machine, config)
    acts_on_gpu = bool(machine.gpus and launch.worker_gpus)
    acting, learning = 1 / speed.acting[size], 1 / speed.learning  # seconds of a frame
    of_a_worker = acting + 1 / speed.environments
    if _learns_on_gpu(machine, config):
        learners = config.learner.devices
        rates = [learners / learning, most / of_a_worker]
        if acts_on_gpu and share_a_gpu(config):
            rates.append(machine.gpus / (acting + learning))
        elif acts_on_gpu:
            rates.append((machine.gpus - learners) / acting)
    else:
        learners = at_once_on_cores(config, machine.cores)
        of_a_learner = min(machine.cores, launch.learner_threads or machine.cores) * learning
        of_the_cores = (launch.worker_threads or 1) * of_a_worker + of_a_learner
        rates = [learners / learning, machine.cores / of_the_cores]
        if acts_on_gpu:
            rates.append(machine.gpus / acting)
    return min(most, math.ceil(min(rates) * of_a_worker))


def _most_workers(machine: Machine, config: RunConfig) -> int:
    """Return for how many workers there are cores; each learner on a GPU has one that feeds it."""
    spare = machine.cores - config.learner.devices * _learns_on_gpu(machine, config)
    return max(1, spare // (config.launch.worker_threads or 1))


def _learns_on_gpu(machine: Machine, config: RunConfig) -> bool:
    return bool(machine.gpus and config.launch.learner_gpus)


def _step(config: RunConfig, others: int | None) -> int:
    """Return what the workers must be a multiple of if each has `others` environments.

    Or the environments of each, if there are `others` workers; 1 while the others are open.
    """
    tasks = len(config.envs.tasks)
    return tasks // math.gcd(tasks, others) if others else 1


def _multiple(number: int, of: int) -> int:
    """Return the smallest multiple of `of` that is at least `number`."""
    return math.ceil(number / of) * of


def _measure(config: RunConfig, threads: int, workers: int | None, envs: int | None) -> Speed:
    # One worker that has all tasks: what an environment costs differs by game.
    tasks = len(config.envs.tasks)
    sizes = {_multiple(n, tasks) for n in ((envs,) if envs else SIZES[acting_device(config)])}
    torch.set_num_threads(threads)
    acting = {size: acting_rate(_with_one_worker(config, size), SECONDS) for size in sizes}
    if workers:
        return Speed(acting)
    chosen = _with_one_worker(config, _good_size(acting))
    return Speed(
        acting, environments_rate(chosen, SECONDS), learning_rate(chosen, LEARNING_SECONDS)
    )


def _with_one_worker(config: RunConfig, envs: int) -> RunConfig:
    launch = config.launch.model_copy(update={"workers": 1, "envs_per_worker": envs})
    return config.model_copy(update={"launch": launch})
