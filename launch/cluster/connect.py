"""Connect to a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import os
import shutil
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

import ray
from ray.exceptions import AuthenticationError

from envs.faults import one_line
from launch.cluster.probe import reason_against
from launch.config.plugins import own_modules
from launch.errors import RunError, UserError
from launch.flow.resources import cpu_count
from launch.paths import python_path

log = logging.getLogger(__name__)

SHARED_MEMORY = "/dev/shm"


def check_address(address: str) -> None:
    """Refuse a cluster that this process cannot join, within seconds and in one line.

    Args:
        address: `auto`, `host:port` or `ray://host:port`.

    Raises:
        UserError: naming the address and the reason: nobody answers, the token is missing or wrong,
            Ray or Python has another version.
    """
    if address.startswith("ray://"):
        host, _, port = address.removeprefix("ray://").rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
        except (OSError, ValueError) as error:
            raise _no_cluster(address, str(error)) from None
    elif reason := reason_against(address):
        raise _no_cluster(address, reason)


class Demand(NamedTuple):
    """What a run needs of a cluster."""

    address: str | None  # of the cluster; None: one is started on this machine
    actors: int  # each asks for a CPU
    store_bytes: int  # room for data on their way between actors
    modules: tuple[str, ...]  # of the user's own, which the actors import


def connect(demand: Demand) -> None:
    """Connect this process to the run's cluster; start one on this machine if it names none.

    Raises:
        UserError: if no cluster answers at `launch.address`, or this machine has too little memory.
        RunError: if Ray does not start here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    # Whatever fails is handled, and told in a line: Ray would print the traceback of each.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    # It would announce at every start that the cluster asks for a token, which is as it should.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    # Processes share the cores here. A thread that spins at a barrier keeps the very thread that it
    # waits for off the core.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"}
    if demand.address:
        _join(demand.address, demand.modules, environment)
    else:
        _start(demand, environment)
    cpus = ray.cluster_resources().get("CPU", 0)
    if cpus < demand.actors:
        log.warning("%d CPUs for %d workers and learners: the rest wait", cpus, demand.actors)


def _join(address: str, modules: Sequence[str], environment: dict[str, str]) -> None:
    own: dict[str, Any] = {}
    if sources := own_modules(modules):
        own["py_modules"] = sources  # Ray takes an empty list for a broken one
    try:
        ray.init(
            address=address,
            logging_level=logging.WARNING,
            runtime_env={"env_vars": environment, **own},
        )
    except (ConnectionError, RuntimeError, AuthenticationError) as error:
        raise _no_cluster(address, str(error)) from None


def shared_memory_bytes() -> int:
    """Return what is free in the shared memory of this machine; Ray's object store lies in it."""
    return shutil.disk_usage(SHARED_MEMORY).free


def _check_store(demand: int) -> None:
    """Refuse a store that would lie on a disk. Ray only warns, or its processes die later."""
    if os.path.isdir(SHARED_MEMORY) and demand > (free := shared_memory_bytes()):
        raise UserError(
            f"launch.mode ray: needs {demand >> 20} MB in {SHARED_MEMORY}, where {free >> 20} MB "
            "are free: delete files there, give a container more (docker run --shm-size=2g), or "
            "lower launch.workers, launch.envs_per_worker or learner.batch_size"
        )


def _start(demand: Demand, environment: dict[str, str]) -> None:
    _check_store(demand.store_bytes)
    try:
        _init(demand, environment)
    except Exception as error:  # Ray has no type for it: a process that is late, a full disk
        ray.shutdown()
        raise RunError(f"Ray cannot start on this machine: {one_line(error)}") from error


def _init(demand: Demand, environment: dict[str, str]) -> None:
    # What a worker imports must be what the driver sees, a user's environments too.
    # Nobody asks this cluster what each task did; kept, it would grow for hours.
    os.environ.setdefault("RAY_task_events_report_interval_ms", "0")
    # The store takes its memory now. Where another program fills it later, Ray's processes and this
    # one would die of it without a word.
    os.environ.setdefault("RAY_preallocate_plasma_memory", "1")
    ray.init(
        # Its own cluster, whatever RAY_ADDRESS says or another run has left on this machine.
        address="local",
        # Ray's count is of permits, not of cores: every actor must find one.
        num_cpus=max(cpu_count(), demand.actors),
        include_dashboard=False,
        object_store_memory=demand.store_bytes,
        logging_level=logging.WARNING,
        runtime_env={"env_vars": {**environment, "PYTHONPATH": python_path()}},
    )


def _no_cluster(address: str, reason: str) -> UserError:
    return UserError(
        f"launch.address: cannot join a Ray cluster at {address!r}: {' '.join(reason.split())}; "
        "the address is auto, HOST:PORT or ray://HOST:PORT"
    )
