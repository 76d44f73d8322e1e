"""Describe this machine: the date, the hardware and the versions that a measurement belongs to."""

from __future__ import annotations

import platform
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import torch

from agents.cpu_info import cpu_fields
from launch.flow.resources import cpu_count
from launch.paths import ROOT


def machine() -> dict[str, object]:
    """Return the date, the processors and the versions, as they go into a JSON file."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": next(iter(cpu_fields("model name")), platform.processor()),
        "cores": cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def process_facts() -> dict[str, object]:
    """Return how this process was started, its host and versions, and what `machine` says."""
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "command": shlex.join(sys.argv),
        "host": socket.gethostname(),
        "commit": _commit(),
        **{key: value for key, value in machine().items() if key != "date"},
    }


def _commit() -> str | None:
    """Return the commit of this code, None if it is no checkout."""
    if not Path(ROOT, ".git").exists():  # an installed copy may lie in a repository of the user's
        return None
    try:
        asked = subprocess.run(
            ["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None


def memory_mb(process: psutil.Process) -> dict[psutil.Process, float]:
    """Return the resident MB of a process and each of its descendants.

    Shared pages are divided among the processes that share them (PSS), so that the sum is the
    memory of all.
    """
    used = {}
    for one in (process, *process.children(recursive=True)):
        try:
            used[one] = one.memory_full_info().pss / 1e6
        except psutil.Error:  # it has just ended
            continue
    return used


def memory_gb() -> float:
    """Return the resident memory of this process and all of its descendants."""
    return sum(memory_mb(psutil.Process()).values()) / 1e3
