"""What a figure belongs to: the day, the machine and the versions."""

from __future__ import annotations

import platform
import time

import torch

from launch.build import cpu_count


def machine() -> dict[str, object]:
    """Return the date, the processors and the versions, as they go into a JSON file."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": _cpu_name(),
        "cores": cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _cpu_name() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.processor()
