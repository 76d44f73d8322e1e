"""What all processes of a run keep in memory."""

from __future__ import annotations

import psutil


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
