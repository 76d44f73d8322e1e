"""From what happened to one row of metrics."""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict, deque
from typing import Any

from envs import EnvsConfig, normalise
from launch.flow.base import RolloutInfo, UpdateReport

# Returns are means over this many latest episodes of a game: one batch alone ends too few.
WINDOW = 100


COUNTERS = ("learner/skipped",)  # their last value counts, not their mean


def _summary(name: str, values: list[float]) -> float:
    """Return the mean of the finite values (a skipped batch has none), NaN if there is none."""
    if name in COUNTERS:
        return values[-1]
    finite = [value for value in values if math.isfinite(value)]
    return statistics.fmean(finite) if finite else math.nan


class Metrics:
    """Collects reports and makes a row of them: a flat mapping from TensorBoard tag to number.

    Learner metrics are means over those updates since the last row that gave them; returns and
    lengths are means over each game's last episodes.
    """

    def __init__(self, envs: EnvsConfig, workers: int, steps_per_rollout: int) -> None:
        self.envs = envs
        self.workers = workers
        self.steps_per_rollout = steps_per_rollout
        self.frames = 0
        self.updates = 0
        self.episodes = dict.fromkeys(envs.tasks, 0)
        self._returns = {task: deque[float](maxlen=WINDOW) for task in envs.tasks}
        self._lengths = {task: deque[int](maxlen=WINDOW) for task in envs.tasks}
        self._elapsed = 0.0
        self._start_row()

    def add(self, report: UpdateReport) -> None:
        """Take in one learner update and the rollouts that came with it."""
        self._learnt += report.frames - self.frames
        self.frames, self.updates = report.frames, report.updates
        for name, value in {**report.metrics, "queue/depth": report.queue_depth}.items():
            self._learner[name].append(value)
        for rollout in report.rollouts:
            self._add_rollout(rollout)

    def row(self) -> dict[str, float]:
        """Close the current row and return it."""
        seconds = time.perf_counter() - self._row_started
        self._elapsed += seconds
        row: dict[str, float] = {"frames": self.frames, "updates": self.updates}
        for task in self.envs.tasks:
            row[f"episodes/{task}"] = self.episodes[task]
            if self._returns[task]:
                row[f"return/{task}"] = statistics.fmean(self._returns[task])
                row[f"length/{task}"] = statistics.fmean(self._lengths[task])
        row |= self._normalised(row)
        row |= {name: _summary(name, values) for name, values in self._learner.items()}
        row = {name: value for name, value in row.items() if math.isfinite(value)}
        row["throughput/total"] = self._learnt / seconds
        if self._acting_seconds:
            # What the workers could collect if they never waited.
            row["throughput/acting"] = self._acted * self.workers / self._acting_seconds
        if "time/update" in row:
            row["throughput/learning"] = self._learnt / sum(self._learner["time/update"])
        row["time/elapsed"] = self._elapsed
        self._start_row()
        return row

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs to go on counting."""
        return {
            "episodes": self.episodes,
            "returns": {task: list(values) for task, values in self._returns.items()},
            "lengths": {task: list(values) for task, values in self._lengths.items()},
            "elapsed": self._elapsed,
        }

    def load(self, state: dict[str, Any], frames: int, updates: int) -> None:
        """Continue from `state()`."""
        self.frames, self.updates = frames, updates
        self._elapsed = state["elapsed"]
        for task in self.envs.tasks:
            self.episodes[task] = state["episodes"][task]
            self._returns[task].extend(state["returns"][task])
            self._lengths[task].extend(state["lengths"][task])

    def _start_row(self) -> None:
        self._learner: defaultdict[str, list[float]] = defaultdict(list)
        self._learnt = 0
        self._acted = 0
        self._acting_seconds = 0.0
        self._row_started = time.perf_counter()

    def _add_rollout(self, rollout: RolloutInfo) -> None:
        self._acted += rollout.num_envs * self.steps_per_rollout
        self._acting_seconds += rollout.seconds
        for episode in rollout.episodes:
            self.episodes[episode.task] += 1
            self._returns[episode.task].append(episode.ret)
            self._lengths[episode.task].append(episode.length)

    def _normalised(self, row: dict[str, float]) -> dict[str, float]:
        """Return the normalised returns, and their mean once every game has one."""
        scores = {}
        for task in self.envs.tasks:
            if f"return/{task}" in row:
                score = normalise(task, self.envs.distribution_mode, row[f"return/{task}"])
                if score is not None:
                    scores[f"return_normalised/{task}"] = score
        if len(scores) == len(self.envs.tasks):
            scores["return_normalised/mean"] = statistics.fmean(scores.values())
        return scores
