"""What became of a run over time: its rows of metrics as they appear, and its faults."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from launch.chaos.schedule import Kind

SECONDS = 0.1  # between two looks at the rows
TAIL = 1 << 16  # bytes, more than a row has

COUNTERS: dict[Kind, str] = {
    "worker killed": "faults/worker_restarts",
    "learner killed": "faults/learner_restarts",
    "environment raises": "faults/worker_restarts",
    "environment hangs": "faults/worker_restarts",
}
"""The counter of a row that shows that the run has noticed a fault."""


class Sample(NamedTuple):
    """A row of metrics, when it was seen."""

    time: float  # seconds
    life: int  # of the driver: how often it was started
    frames: int
    updates: int
    faults: dict[str, float]  # of the row


@dataclass
class Event:
    """A fault that has happened."""

    time: float  # seconds
    kind: Kind
    detail: str  # what it hit
    life: int  # of the driver
    victim: int | None = None  # process that dies of it
    gone: float | None = None  # when that was seen to be gone


class History(threading.Thread):
    """Watches the rows of a run.

    Args:
        metrics: the file of the rows.
        life: returns how often the driver was started.
    """

    def __init__(self, metrics: Path, life: Callable[[], int]) -> None:
        super().__init__(name="chaos history", daemon=True)
        self._metrics = metrics
        self._life = life
        self._done = threading.Event()
        self.began = self.rose = time.monotonic()
        self.samples: list[Sample] = []

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    @property
    def quiet(self) -> float:
        """Seconds since the frames last rose."""
        return time.monotonic() - self.rose

    def run(self) -> None:
        """Look for new rows until `close`."""
        self.began = self.rose = time.monotonic()
        while not self._done.wait(SECONDS):
            self._look()
        self._look()

    def close(self) -> None:
        """Look a last time and end."""
        self._done.set()
        self.join()

    def _look(self) -> None:
        life = self._life()
        # A run that begins anew sets all rows aside: its frames are 0 again.
        row = last_row(self._metrics) or {"frames": 0, "updates": 0}
        last = self.samples[-1] if self.samples else Sample(0, life, 0, 0, {})
        if (row["frames"], row["updates"]) == last[2:4]:
            return
        if row["frames"] > last.frames:
            self.rose = time.monotonic()
        faults = {name: n for name, n in row.items() if name.startswith("faults/")}
        self.samples.append(Sample(self.now, life, int(row["frames"]), int(row["updates"]), faults))


def last_row(metrics: Path) -> dict[str, float] | None:
    """Return the last whole row of a file that is being written, None if there is none."""
    try:
        with metrics.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    # What follows the last line feed is being written; before it may be the rest of a cut row.
    row: dict[str, float] | None = json.loads(lines[-2]) if len(lines) > 1 else None
    return row


def recovery(event: Event, samples: Sequence[Sample]) -> float | None:
    """Return the seconds from a fault until the run has noticed it and its frames rise again.

    Noticed: the driver was started again, or the counter of such faults is higher than before. The
    loss of a node has none, for it may have had nothing to do.

    Returns:
        None if that never was.
    """
    counter = COUNTERS.get(event.kind)
    own = _own_rows(samples, event.life)
    before = next((s for s in reversed(own) if s.time <= event.time), None)
    counted = before.faults.get(counter, 0) if before and counter else 0
    for last, sample in pairwise(samples):
        if sample.time <= event.time or sample.frames <= last.frames:
            continue
        if event.victim is not None and (event.gone is None or sample.time < event.gone):
            continue
        noticed = counter is None or sample.faults.get(counter, 0) > counted
        if sample.life > event.life or (noticed and event.kind != "driver killed"):
            return sample.time - event.time
    return None


def _own_rows(samples: Sequence[Sample], life: int) -> list[Sample]:
    """Return the rows that a driver wrote: its counters of faults begin at 0.

    The first that is seen when it starts may be the one at which it goes on.
    """
    own = [sample for sample in samples if sample.life == life]
    earlier = {sample[2:4] for sample in samples if sample.life < life}
    return own[1:] if own and own[0][2:4] in earlier else own


def fallen_versions(samples: Sequence[Sample]) -> str:
    """Return where the version of the weights falls, or stands still, while one driver lives.

    When the learner is restarted the frames go back, but workers must never meet a version twice.
    """
    highest: dict[int, int] = {}
    for before, after in pairwise(samples):
        # Where the frames fall, rows were set aside, and the last row is an old one.
        if after.life == before.life and after.frames > before.frames:
            if after.updates <= highest.get(after.life, -1):
                return f"version {after.updates} follows {highest[after.life]}"
            highest[after.life] = after.updates
    return ""


def rates(samples: Sequence[Sample], width: float) -> tuple[list[float], list[float]]:
    """Return the middle of each `width` seconds, and the frames per second in it."""
    if not samples:
        return [], []
    learnt = [0.0] * (int(samples[-1].time / width) + 1)
    for before, after in pairwise(samples):
        learnt[int(after.time / width)] += max(0, after.frames - before.frames)
    return [(i + 0.5) * width for i in range(len(learnt))], [n / width for n in learnt]
