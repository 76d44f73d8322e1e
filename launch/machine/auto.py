"""Resolve `launch.workers=auto` and `launch.envs_per_worker=auto` by measuring this machine.

A worker acts on one core (or on `launch.worker_threads` cores), or waits there for a GPU. The
number of workers is the smallest that keeps up with the learners. These learn on GPUs, or on the
same cores in turns with the workers.
"""

from __future__ import annotations

import logging
import math
from typing import NamedTuple

import torch

from launch.config.schema import LoadedConfig, RunConfig
from launch.errors import UserError
from launch.flow.resources import (
    acting_device,
    at_once_on_cores,
    cluster_address,
    cpu_count,
    default_worker_threads,
    learner_threads,
    room,
    share_a_gpu,
    share_out,
)
from launch.machine.parts import acting_rate, environments_rate, in_processes, learning_rate

log = logging.getLogger(__name__)

SIZES = {"cpu": (12, 24, 48, 96), "cuda": (48, 96, 192, 384, 768)}  # environments of a worker
GOOD_ENOUGH = 0.9  # share of the best size's rate at which a smaller size is preferred
FEWEST_ENVIRONMENTS = 48  # of all workers together: the paper's number
MOST_WORKERS = 256  # to which a run grows on a cluster, if `launch.workers` is no number
SECONDS = 1.0  # length of each measurement of a worker
LEARNING_SECONDS = 3.0  # length of the learner's: an update takes 1 to 2 s on few cores


class Speed(NamedTuple):
    """Frames per second of the parts alone; the last two where the number of workers is open."""

    acting: dict[int, float]  # a worker's policy, by the number of its environments
    environments: float = math.nan  # a worker's environments
    learning: float = math.nan  # a learner with its threads or its GPU


class Machine(NamedTuple):
    """What this machine has for the parts."""

    cores: int
    gpus: int


def resolve_auto(config: LoadedConfig) -> RunConfig:
    """Return the configuration with numbers for what is `auto`, measured here where needed.

    Raises:
        UserError: if no number of workers would do, or environments do not go together.
        RunError: if what the learner learns while it is measured is not finite, or if the process
            that measures dies.
    """
    if isinstance(config, RunConfig):
        return config
    launch = config.launch
    workers = None if launch.workers == "auto" else launch.workers
    envs = None if launch.envs_per_worker == "auto" else launch.envs_per_worker
    if workers is None and envs and launch.mode == "ray" and cluster_address(config):
        # The cluster's nodes are not this machine: the run starts with few workers and grows.
        most = launch.max_workers or MOST_WORKERS
        return config.resolved(workers=_step(config, envs), max_workers=most)
    machine = Machine(cpu_count(), torch.cuda.device_count())
    if launch.mode == "local":
        threads = learner_threads(config)
        workers = workers or _step(config, envs)  # more would only take turns
    else:
        threads = launch.worker_threads or (default_worker_threads(workers) if workers else 1)
        share_out(machine.gpus, config, workers or _step(config, envs))
    if not (workers and envs):
        keys = " and ".join(f"launch.{key}" for key in config.auto)
        log.info("measuring acting and learning here for %s", keys)
        try:
            (speed,) = in_processes(1, _measure, config, threads, workers, envs)
        except ValueError as error:
            raise UserError(str(error)) from None
        workers, envs = choose(speed, machine, config, workers, envs)
    log.info("launch.workers=%d launch.envs_per_worker=%d", workers, envs)
    numbers: dict[str, int | None] = {"workers": workers, "envs_per_worker": envs}
    if launch.workers == "auto" and launch.mode == "ray":
        numbers["worker_threads"] = threads
    return config.resolved(**numbers)


def choose(
    speed: Speed, machine: Machine, config: LoadedConfig, workers: int | None, envs: int | None
) -> tuple[int, int]:
    """Return the number of workers and the number of environments of each.

    Args:
        speed: the measured speeds.
        machine: the machine that they were measured on.
        config: the configuration, of which the numbers here are still open.
        workers: the number of workers, where it is given.
        envs: the environments of each worker, where they are given.
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


def _busy_workers(speed: Speed, size: int, machine: Machine, config: LoadedConfig) -> int:
    """Return how many workers keep up with the learners; parts on one device take turns."""
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


def _most_workers(machine: Machine, config: LoadedConfig) -> int:
    """Return how many workers have a core; each learner on a GPU keeps one core to feed it."""
    spare = machine.cores - config.learner.devices * _learns_on_gpu(machine, config)
    return max(1, spare // (config.launch.worker_threads or 1))


def _learns_on_gpu(machine: Machine, config: LoadedConfig) -> bool:
    return bool(machine.gpus and config.launch.learner_gpus)


def _step(config: LoadedConfig, others: int | None) -> int:
    """Return the step that keeps workers x environments a multiple of the tasks.

    `others` is the number of environments of each worker where workers are counted in such steps,
    and the other way round. While it is open (None), the step is 1.
    """
    tasks = len(config.envs.tasks)
    return tasks // math.gcd(tasks, others) if others else 1


def _multiple(number: int, of: int) -> int:
    """Return the smallest multiple of `of` that is at least `number`."""
    return math.ceil(number / of) * of


def _measure(config: LoadedConfig, threads: int, workers: int | None, envs: int | None) -> Speed:
    # One worker plays all tasks, because games differ in what a step costs.
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


def _with_one_worker(config: LoadedConfig, envs: int) -> RunConfig:
    return config.resolved(workers=1, envs_per_worker=envs)
