"""Connect to a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

import ray
from ray.exceptions import AuthenticationError

from envs import env_spec
from launch.cluster.learners import UPDATES_IN_FLIGHT
from launch.cluster.probe import reason_against
from launch.config.plugins import own_modules
from launch.config.schema import RunConfig
from launch.errors import UserError
from launch.flow.resources import cluster_address, cpu_count
from launch.paths import python_path

log = logging.getLogger(__name__)


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


def connect(config: RunConfig) -> None:
    """Connect this process to the run's cluster; start one on this machine if it names none.

    Raises:
        UserError: if no cluster answers at `launch.address`.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    # Whatever fails is handled, and told in a line: Ray would print the traceback of each.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    # It would announce at every start that the cluster asks for a token, which is as it should.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    # Processes share the cores here. A thread that spins at a barrier keeps the very thread that it
    # waits for off the core.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"}
    address = cluster_address(config)
    if address:
        _join(config, address, environment)
    else:
        _start(config, environment)
    cpus = ray.cluster_resources().get("CPU", 0)
    actors = config.launch.workers + config.learner.devices
    if cpus < actors:
        log.warning("%d CPUs for %d workers and learners: the rest wait", cpus, actors)


def _join(config: RunConfig, address: str, environment: dict[str, str]) -> None:
    own: dict[str, Any] = {}
    if modules := own_modules((*config.imports, *config.envs.modules)):
        own["py_modules"] = modules  # Ray takes an empty list for a broken one
    try:
        ray.init(
            address=address,
            logging_level=logging.WARNING,
            runtime_env={"env_vars": environment, **own},
        )
    except (ConnectionError, RuntimeError, AuthenticationError) as error:
        raise _no_cluster(address, str(error)) from None


def _start(config: RunConfig, environment: dict[str, str]) -> None:
    # What a worker imports must be what the driver sees, a user's environments too.
    # Nobody asks this cluster what each task did; kept, it would grow for hours.
    os.environ.setdefault("RAY_task_events_report_interval_ms", "0")
    ray.init(
        # Its own cluster, whatever RAY_ADDRESS says or another run has left on this machine.
        address="local",
        # Ray's count is of permits, not of cores: every actor must find one.
        num_cpus=max(cpu_count(), config.launch.workers + config.learner.devices),
        include_dashboard=False,
        object_store_memory=_object_store_bytes(config),
        logging_level=logging.WARNING,
        runtime_env={"env_vars": {**environment, "PYTHONPATH": python_path()}},
    )


def _object_store_bytes(config: RunConfig) -> int:
    """Return room for every rollout in flight, twice: what is bounded needs no more."""
    learner, launch = config.learner, config.launch
    unrolls = (
        launch.queue_batches + UPDATES_IN_FLIGHT
    ) * learner.batch_size + 2 * launch.workers * launch.envs_per_worker
    frame = env_spec(config.envs).observation_bytes
    return 2 * unrolls * (learner.unroll_length + 1) * frame + (256 << 20)


def _no_cluster(address: str, reason: str) -> UserError:
    return UserError(
        f"launch.address: cannot join a Ray cluster at {address!r}: {' '.join(reason.split())}; "
        "the address is auto, HOST:PORT or ray://HOST:PORT"
    )
