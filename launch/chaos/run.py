"""Run a configuration on a local cluster while faults happen, and check what must hold."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from launch.chaos import world
from launch.chaos.invariants import Verdict
from launch.chaos.processes import GONE_SECONDS, environment, left_after, marked
from launch.chaos.result import Result
from launch.chaos.schedule import fault_counts, make_schedule
from launch.config.schema import RunConfig
from launch.paths import python_path
from launch.run.folder import RunFolder

SHARED_MEMORY = "/dev/shm"


def run_chaos(
    config: RunConfig,
    run: RunFolder,
    minutes: float,
    seed: int,
    nodes: int,
    progress: Callable[[str], None],
) -> Result:
    """Train on a cluster of this machine while faults happen, and check what is left.

    Args:
        config: of the run. Where it runs, its folder and its length are set here.
        run: its folder, which holds no run yet.
        minutes: in which faults happen; afterwards the run is stopped, continued and finished.
        seed: of the faults.
        nodes: of the cluster, at least 2.
        progress: is told of each fault.
    """
    segments = set(os.listdir(SHARED_MEMORY))
    # Ray's sockets lie below it, and their paths must be short.
    folder = Path(tempfile.mkdtemp(prefix="srwm-chaos-"))
    temporary = folder / "tmp"
    temporary.mkdir()
    variables = {
        world.FOLDER: str(folder),
        "RAY_TMPDIR": str(folder),
        "TMPDIR": str(temporary),
        "PYTHONPATH": python_path(),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray takes 127.0.0.1 for this machine's other address, so its ports are open to others.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    planned = fault_counts(minutes, world.can_fail(config.envs.tasks))
    try:
        with environment(**variables):
            # Ray reads as it is imported whether there is a token.
            from launch.chaos.conductor import Conductor

            conductor = Conductor(config, run, folder, progress)
            try:
                conductor.go(make_schedule(seed, 60 * minutes, planned), nodes)
            finally:
                conductor.close()
        processes = left_after(GONE_SECONDS, lambda: marked(folder))
        shared = left_after(GONE_SECONDS, lambda: set(os.listdir(SHARED_MEMORY)) - segments)
        verdicts = [
            *conductor.verdicts(),
            Verdict("no process is left", ", ".join(processes)),
            Verdict("no shared memory is left", ", ".join(sorted(shared))),
            Verdict("no temporary file is left", ", ".join(sorted(os.listdir(temporary)))),
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Result(planned, conductor.events, conductor.history.samples, verdicts)
