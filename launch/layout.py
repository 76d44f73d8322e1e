"""`launch.workers=auto`, `launch.envs_per_worker=auto`: from what acting and learning cost here.

A worker acts on one core, or waits there for a GPU. So many are needed as keep up with the
learners, which learn on GPUs or, by turns with the workers, on the same cores.
"""

from __future__ import annotations

import logging
import math
from typing import NamedTuple

import torch

from launch.bench.parts import acting_rate, apart, environments_rate, learning_rate
from launch.build import acting_device, cpu_count, learner_threads, worker_threads
from launch.config import LaunchConfig, RunConfig, UnsettledLaunch
from launch.gpus import room, share_out

log = logging.getLogger(__name__)

SIZES = {"cpu": (12, 24, 48, 96), "cuda": (48, 96, 192, 384, 768)}  # of a worker, as far as tried
GOOD_ENOUGH = 0.9  # of the rate of the best size
FEWEST_ENVIRONMENTS = 48  # of all workers: the paper's
SECONDS = 1.0  # of each measurement of a worker
LEARNING_SECONDS = 3.0  # an update takes up to a second or two on few cores


class Speed(NamedTuple):
    """Frames per second of the parts alone."""

    acting: dict[int, float]  # of a worker with one thread, by the number of its environments
    environments: float  # of a worker
    learning: float  # of a learner, with all cores or its GPU


class Machine(NamedTuple):
    """Where the parts run."""

    cores: int
    gpus: int


def settle(config: RunConfig) -> RunConfig:
    """Return the configuration with numbers for what is `auto`, measuring here what they hang on.

    Raises:
        UserError: if no number of workers would do.
        RunError: if what the learner learns while it is measured is not finite.
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
        (speed,) = apart(1, _measure, config, threads, envs)
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
    best = max(speed.acting.values())
    size = min(size for size, rate in speed.acting.items() if rate >= GOOD_ENOUGH * best)
    if workers is None:
        workers, step = _busy_workers(speed, size, machine, config), _step(config, envs)
        if envs:
            workers = max(workers, math.ceil(FEWEST_ENVIRONMENTS / envs))
        workers = min(_multiple(workers, step), room(machine.gpus, config) // step * step)
    if envs is None:
        envs = max(size, math.ceil(FEWEST_ENVIRONMENTS / workers))
        envs = _multiple(envs, _step(config, workers))
    return workers, envs


def _busy_workers(speed: Speed, size: int, machine: Machine, config: RunConfig) -> int:
    """Return how many workers keep up with the learners, and no more than leave them their cores.

    What is on one core or one GPU takes turns.
    """
    learners, launch = config.learner.devices, config.launch
    acts_on_gpu = bool(machine.gpus and launch.worker_gpus)
    learns_on_gpu = bool(machine.gpus and launch.learner_gpus)
    acting, learning = 1 / speed.acting[size], 1 / speed.learning  # seconds of a frame
    of_a_worker = acting + 1 / speed.environments
    # On a CPU learners share all cores. On a GPU they take none that counts but one to feed each.
    of_the_cores = of_a_worker + (0 if learns_on_gpu else machine.cores * learning)
    spare = max(1, machine.cores - learns_on_gpu * learners)
    rates = [spare / of_the_cores, (learners if learns_on_gpu else 1) / learning]
    if acts_on_gpu:
        rates.append(machine.gpus / (acting + learns_on_gpu * learning))
    return min(spare, math.ceil(min(rates) * of_a_worker))


def _step(config: RunConfig, others: int | None) -> int:
    """Return what the workers must be a multiple of if each has `others` environments.

    Or the environments of each, if there are `others` workers; 1 while the others are open.
    """
    tasks = len(config.envs.tasks)
    return tasks // math.gcd(tasks, others) if others else 1


def _multiple(number: int, of: int) -> int:
    """Return the smallest multiple of `of` that is at least `number`."""
    return math.ceil(number / of) * of


def _measure(config: RunConfig, threads: int, envs: int | None) -> Speed:
    # One worker that has all tasks: what an environment costs differs by game.
    tasks = len(config.envs.tasks)
    sizes = {_multiple(n, tasks) for n in ((envs,) if envs else SIZES[acting_device(config)])}
    torch.set_num_threads(threads)
    acting = {size: acting_rate(_with_one_worker(config, size), SECONDS) for size in sizes}
    environments = environments_rate(_with_one_worker(config, max(sizes)), SECONDS)
    return Speed(acting, environments, learning_rate(config, LEARNING_SECONDS))


def _with_one_worker(config: RunConfig, envs: int) -> RunConfig:
    launch = config.launch.model_copy(update={"workers": 1, "envs_per_worker": envs})
    return config.model_copy(update={"launch": launch})
