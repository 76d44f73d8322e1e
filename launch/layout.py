"""`launch.workers=auto`, `launch.envs_per_worker=auto`: from what acting and learning cost here.

A worker acts on one core. So many are needed as keep up with the learner, which learns on a GPU of
its own or, by turns with them, on the same cores.
"""

from __future__ import annotations

import logging
import math
from typing import NamedTuple

import torch

from launch.bench.parts import acting_rate, apart, environments_rate, learning_rate
from launch.build import acting_device, cpu_count, learning_device
from launch.config import LaunchConfig, RunConfig
from launch.errors import UserError

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
    learning: float  # of the learner, with all cores or its GPU


class Machine(NamedTuple):
    """Where the parts run."""

    cores: int
    learner_on_gpu: bool


def settle(config: RunConfig, auto: list[str]) -> LaunchConfig:
    """Measure the parts here, and return `config.launch` with numbers for what is `auto`.

    Args:
        config: with any valid numbers in their place.
        auto: the keys of `config.launch` to replace: `workers`, `envs_per_worker` or both.

    Raises:
        UserError: if the workers would be elsewhere, or if the environments do not go together with
            each other or with the network.
    """
    launch = config.launch
    keys = " and ".join(f"launch.{key}" for key in auto)
    if launch.address:
        raise UserError(
            f"{keys}: auto measures this machine; with launch.address use a number for each"
        )
    log.info("measuring acting and learning here for %s", keys)
    workers = None if "workers" in auto else launch.workers
    envs = None if "envs_per_worker" in auto else launch.envs_per_worker
    if launch.mode == "local":
        workers = workers or 1  # they would only take turns
    try:
        (speed,) = apart(1, _measure, config, envs)
    except ValueError as error:
        raise UserError(str(error)) from None
    machine = Machine(cpu_count(), learning_device(config) == "cuda")
    workers, envs = layout(speed, machine, len(config.envs.tasks), workers, envs)
    log.info("launch.workers=%d launch.envs_per_worker=%d", workers, envs)
    update = {"workers": workers, "envs_per_worker": envs}
    if "workers" in auto:
        update["worker_threads"] = launch.worker_threads or 1  # so many that one is enough
    return launch.model_copy(update=update)


def layout(
    speed: Speed, machine: Machine, tasks: int, workers: int | None, envs: int | None
) -> tuple[int, int]:
    """Return the number of workers and of the environments of each.

    Args:
        speed: what was measured.
        machine: where.
        tasks: which share the environments equally.
        workers: how many, if that is settled.
        envs: of each worker, if that is settled.
    """
    best = max(speed.acting.values())
    size = min(size for size, rate in speed.acting.items() if rate >= GOOD_ENOUGH * best)
    if workers is None:
        of_a_worker = 1 / speed.acting[size] + 1 / speed.environments  # seconds of a frame
        # Of all cores. On a GPU it takes none that counts but one to feed it.
        of_the_learner = 0 if machine.learner_on_gpu else machine.cores / speed.learning
        spare = machine.cores - machine.learner_on_gpu
        rate = min(speed.learning, spare / (of_a_worker + of_the_learner))
        workers = max(1, min(spare, math.ceil(rate * of_a_worker)))
        if envs:
            workers = max(workers, math.ceil(FEWEST_ENVIRONMENTS / envs))
            workers = _multiple(workers, tasks // math.gcd(tasks, envs))
    if envs is None:
        envs = max(size, math.ceil(FEWEST_ENVIRONMENTS / workers))
        envs = _multiple(envs, tasks // math.gcd(tasks, workers))
    return workers, envs


def _multiple(number: int, of: int) -> int:
    """Return the smallest multiple of `of` that is at least `number`."""
    return math.ceil(number / of) * of


def _measure(config: RunConfig, envs: int | None) -> Speed:
    # One worker that has all tasks: what an environment costs differs by game.
    tasks = len(config.envs.tasks)
    sizes = {_multiple(n, tasks) for n in ((envs,) if envs else SIZES[acting_device(config)])}
    torch.set_num_threads(config.launch.worker_threads or 1)
    acting = {size: acting_rate(_with_one_worker(config, size), SECONDS) for size in sizes}
    environments = environments_rate(_with_one_worker(config, max(sizes)), SECONDS)
    return Speed(acting, environments, learning_rate(config, LEARNING_SECONDS))


def _with_one_worker(config: RunConfig, envs: int) -> RunConfig:
    launch = config.launch.model_copy(update={"workers": 1, "envs_per_worker": envs})
    return config.model_copy(update={"launch": launch})
