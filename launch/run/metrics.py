"""Collect what happened into rows of metrics."""

from __future__ import annotations

import math
import time
from typing import Any

from launch.flow.base import UpdateReport

COUNTERS = ("learner/skipped",)  # their last value counts, not their mean


class Metrics:
    """Collects reports and makes a row of them: a flat mapping from TensorBoard tag to number.

    Learner metrics are means over those updates since the last row that gave them; those of a trial
    stay in every row until the next trial. The row that is being collected belongs to the state: a
    resumed run goes on with it.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.version = 0
        self._elapsed = 0.0
        self._faults: dict[str, float] = {}
        self._trial: dict[str, float] = {}
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
            self._add_value(name, value)
        if report.trial:
            self._trial = report.trial.metrics
        self._faults = {f"faults/{name}": float(n) for name, n in report.faults.items()}

    def row(self) -> dict[str, float]:
        """Close the current row and return it."""
        seconds = self._row_seconds
        self._elapsed += seconds
        row: dict[str, float] = {"frames": self.frames, "updates": self.version}
        row |= self.scores() | self._trial | self._faults
        row |= {name: total / count for name, (total, count) in self._learner.items()}
        row["throughput/total"] = self._learnt / seconds
        row |= self.rates()
        if "time/update" in row:
            row["throughput/learning"] = self._learnt / self._learner["time/update"][0]
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
        return {
            "elapsed": self._elapsed,
            "best": self._best,
            "trial": self._trial,
            "row": self._row_state(),
        }

    def load(self, state: dict[str, Any], frames: int, version: int) -> None:
        """Continue from `state()`; older states end with a row."""
        self.frames, self.version = frames, version
        self._elapsed = state["elapsed"]
        self._best = state.get("best")
        self._trial = state.get("trial", {})
        self._start_row()
        if row := state.get("row"):
            self._load_row(row)

    @property
    def _row_seconds(self) -> float:
        return time.perf_counter() - self._row_started

    def _start_row(self) -> None:
        # The sum of a metric's finite values and their count: a skipped batch has none.
        self._learner: dict[str, tuple[float, int]] = {}
        self._learnt = 0
        self._row_started = time.perf_counter()

    def _row_state(self) -> dict[str, Any]:
        learner = {name: list(values) for name, values in self._learner.items()}
        return {"learner": learner, "learnt": self._learnt, "seconds": self._row_seconds}

    def _load_row(self, row: dict[str, Any]) -> None:
        self._learner = {name: (total, count) for name, (total, count) in row["learner"].items()}
        self._learnt = row["learnt"]
        self._row_started = time.perf_counter() - row["seconds"]

    def _add_value(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            return
        total, count = self._learner.get(name, (0.0, 0))
        if name in COUNTERS:
            total, count = 0.0, 0
        self._learner[name] = (total + value, count + 1)
