"""Describe this machine: the date, the hardware and the versions that a measurement belongs to."""

from __future__ import annotations

import platform
import time

import psutil
import torch

from agents.cpu_info import cpu_fields
from launch.flow.resources import cpu_count


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
