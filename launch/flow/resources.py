"""Resources of each part: its share of a GPU, its device and its CPU threads."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import torch

from launch.config.fewshot import FewShotConfig
from launch.config.schema import LoadedConfig, RunConfig
from launch.config.source import AnyConfig
from launch.errors import UserError

UNITS = 10_000  # of a GPU: Ray knows no smaller share


class Gpus(NamedTuple):
    """What each actor reserves."""

    learner: float
    worker: float


def share_out(gpus: int, config: LoadedConfig, workers: int) -> Gpus:
    """Return what each actor reserves where there are so many GPUs.

    Raises:
        UserError: if they do not suffice for the learners and so many workers.
    """
    launch, learners = config.launch, config.learner.devices
    if not gpus:
        return Gpus(learner=0, worker=0)
    if learners * launch.learner_gpus > gpus or workers > room(gpus, config):
        raise UserError(
            f"{learners} learners x launch.learner_gpus {launch.learner_gpus:g} and "
            f"{workers} workers x launch.worker_gpus {launch.worker_gpus:g} do not fit on the "
            f"{gpus} GPUs here"
        )
    return Gpus(launch.learner_gpus, launch.worker_gpus)


def learner_share(gpus: int, config: FewShotConfig) -> float:
    """Return what each learner of a run without workers reserves where there are so many GPUs.

    Raises:
        UserError: if they do not suffice.
    """
    share, learners = config.launch.learner_gpus, config.learner.devices
    if not gpus:
        return 0
    if learners * share > gpus:
        raise UserError(
            f"{learners} learners x launch.learner_gpus {share:g} do not fit on the {gpus} GPUs "
            "here"
        )
    return share


def room(gpus: int, config: LoadedConfig) -> int:
    """Return for how many workers there is a share of a GPU beside the learners'."""
    learner, worker = _units(config.launch.learner_gpus), _units(config.launch.worker_gpus)
    if not (gpus and worker):
        return sys.maxsize
    with_a_learner = min(gpus, config.learner.devices)  # several have a whole GPU each, or none
    return with_a_learner * ((UNITS - learner) // worker) + (gpus - with_a_learner) * (
        UNITS // worker
    )


def share_a_gpu(config: LoadedConfig) -> bool:
    """Return whether a worker's share fits on a GPU beside a learner's."""
    return _units(config.launch.learner_gpus) + _units(config.launch.worker_gpus) <= UNITS


def _units(share: float) -> int:
    return round(UNITS * share)


def learning_device(config: AnyConfig) -> str:
    """Return where the learner is."""
    return "cuda" if config.launch.learner_gpus and torch.cuda.is_available() else "cpu"


def acting_device(config: LoadedConfig) -> str:
    """Return where workers run the policy."""
    return "cuda" if config.launch.worker_gpus and torch.cuda.is_available() else "cpu"


def cluster_address(config: AnyConfig) -> str | None:
    """Return the address of the run's Ray cluster, None if the run starts its own.

    A job that was submitted to a cluster (`ray job submit`) runs on that cluster.
    """
    return config.launch.address or ("auto" if is_submitted_job() else None)


def is_submitted_job() -> bool:
    """Return whether this process is a job that the job server of a Ray cluster has started."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and "RAY_ADDRESS" in os.environ


def worker_threads(config: RunConfig) -> int:
    """Return the CPU threads of torch in a worker."""
    launch = config.launch
    # On a cluster a worker has the one CPU that it asks for.
    here = 1 if cluster_address(config) else default_worker_threads(launch.workers)
    return launch.worker_threads or here


def default_worker_threads(workers: int) -> int:
    """Return the CPU threads of each of so many workers that share this machine."""
    return max(1, cpu_count() // workers)


def learner_threads(config: AnyConfig) -> int:
    """Return the CPU threads of torch in a learner."""
    # On a cluster each may have a machine to itself; here they share what there is.
    shared = cpu_count() if cluster_address(config) else cpu_count() // config.learner.devices
    return config.launch.learner_threads or max(1, shared)


def learners_at_once(config: LoadedConfig) -> int:
    """Return how many learners learn at the same time here."""
    if learning_device(config) == "cuda":
        return config.learner.devices  # each on a GPU
    return at_once_on_cores(config, cpu_count())


def at_once_on_cores(config: LoadedConfig, cores: int) -> int:
    """Return how many learners so many cores take: one, if it may use all of them."""
    threads = min(cores, config.launch.learner_threads or cores)
    return min(config.learner.devices, cores // threads)


def cpu_count() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))
