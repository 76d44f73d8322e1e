"""Collect what happened into rows of metrics."""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict
from typing import Any

from launch.flow.base import UpdateReport

COUNTERS = ("learner/skipped",)  # their last value counts, not their mean


class Metrics:
    """Collects reports and makes a row of them: a flat mapping from TensorBoard tag to number.

    Learner metrics are means over those updates since the last row that gave them.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.version = 0
        self._elapsed = 0.0
        self._faults: dict[str, float] = {}
        self._best: float | None = None
        self._start_row()

    def is_best(self, score: float) -> bool:
        """Take in a score; return whether it is higher than all before."""
        better = self._best is None or score > self._best
        if better:
            self._best = score
        return better

    def add(self, report: UpdateReport) -> None:
        """Take in one learner update and what came with it."""
        self._learnt += report.frames - self.frames
        self.frames, self.version = report.frames, report.version
        for name, value in {**report.metrics, "queue/depth": report.queue_depth}.items():
            self._learner[name].append(value)
        self._faults = {f"faults/{name}": float(n) for name, n in report.faults.items()}

    def row(self) -> dict[str, float]:
        """Close the current row and return it."""
        seconds = time.perf_counter() - self._row_started
        self._elapsed += seconds
        row: dict[str, float] = {"frames": self.frames, "updates": self.version}
        row |= self.scores() | self._faults
        row |= {name: _summary(name, values) for name, values in self._learner.items()}
        row = {name: value for name, value in row.items() if math.isfinite(value)}
        row["throughput/total"] = self._learnt / seconds
        row |= self.rates()
        if "time/update" in row:
            row["throughput/learning"] = self._learnt / sum(self._learner["time/update"])
        row["time/elapsed"] = self._elapsed
        self._start_row()
        return row

    def scores(self) -> dict[str, float]:
        """Return how well the run does, apart from what the learner reports."""
        return {}

    def rates(self) -> dict[str, float]:
        """Return how fast its parts are, apart from the learner."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs to go on counting."""
        return {"elapsed": self._elapsed, "best": self._best}

    def load(self, state: dict[str, Any], frames: int, version: int) -> None:
        """Continue from `state()`, with a new row."""
        self.frames, self.version = frames, version
        self._elapsed = state["elapsed"]
        self._best = state.get("best")
        self._start_row()

    def _start_row(self) -> None:
        self._learner: defaultdict[str, list[float]] = defaultdict(list)
        self._learnt = 0
        self._row_started = time.perf_counter()


def _summary(name: str, values: list[float]) -> float:
    """Return the mean of the finite values (a skipped batch has none), NaN if there is none."""
    if name in COUNTERS:
        return values[-1]
    finite = [value for value in values if math.isfinite(value)]
    return statistics.fmean(finite) if finite else math.nan
