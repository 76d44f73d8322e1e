"""What Linux says about the processor."""

from __future__ import annotations

from pathlib import Path


def cpu_fields(name: str) -> list[str]:
    """Return the values of a field of /proc/cpuinfo, one for each core; empty if unknown.

    Args:
        name: of the field, such as "model name", "flags" or "cpu MHz".
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for field, _, value in pairs if field.strip() == name]
