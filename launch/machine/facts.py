"""What a figure belongs to: the day, the machine and the versions."""

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


def memory_gb() -> float:
    """Return the resident memory of this process and its descendants, shared pages counted once."""
    me = psutil.Process()
    total = 0
    for process in (me, *me.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 1e9
