"""The metrics of a policy that plays games, and how they are shown."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from envs import EnvsConfig, normalise
from launch.flow.base import RolloutInfo, UpdateReport
from launch.run.memory_charts import memory_charts
from launch.run.metrics import Metrics
from launch.run.view import Charts, Row, View, lines

# Returns are means over this many latest episodes of a game: one batch alone ends too few.
WINDOW = 100


class PolicyMetrics(Metrics):
    """Metrics with the returns and lengths of each game: means over its last episodes.

    Args:
        envs: the games.
        workers: how many act at the same time.
        steps_per_rollout: T.
    """

    def __init__(self, envs: EnvsConfig, workers: int, steps_per_rollout: int) -> None:
        super().__init__()
        self.envs = envs
        self.workers = workers
        self.steps_per_rollout = steps_per_rollout
        self.episodes = dict.fromkeys(envs.tasks, 0)
        self._returns = {task: deque[float](maxlen=WINDOW) for task in envs.tasks}
        self._lengths = {task: deque[int](maxlen=WINDOW) for task in envs.tasks}

    def add(self, report: UpdateReport) -> None:
        super().add(report)
        for rollout in report.rollouts:
            self._add_rollout(rollout)

    def scores(self) -> dict[str, float]:
        scores: dict[str, float] = {}
        for task in self.envs.tasks:
            scores[f"episodes/{task}"] = self.episodes[task]
            if self._returns[task]:
                scores[f"return/{task}"] = statistics.fmean(self._returns[task])
                scores[f"length/{task}"] = statistics.fmean(self._lengths[task])
        return scores | self._normalised(scores)

    def row(self) -> dict[str, float]:
        row = super().row()
        means = ("return_normalised/mean", "held_out_normalised/mean")
        if all(name in row for name in means):
            training, held_out = (row[name] for name in means)
            row["held_out_normalised/gap"] = training - held_out
        return row

    def rates(self) -> dict[str, float]:
        if not self._acting_seconds:
            return {}
        # What the workers could collect if they never waited.
        return {"throughput/acting": self._acted * self.workers / self._acting_seconds}

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "episodes": dict(self.episodes),
            "returns": {task: list(values) for task, values in self._returns.items()},
            "lengths": {task: list(values) for task, values in self._lengths.items()},
        }

    def load(self, state: dict[str, Any], frames: int, version: int) -> None:
        super().load(state, frames, version)
        for task in self.envs.tasks:
            self.episodes[task] = state["episodes"][task]
            self._returns[task] = deque(state["returns"][task], maxlen=WINDOW)
            self._lengths[task] = deque(state["lengths"][task], maxlen=WINDOW)

    def _start_row(self) -> None:
        super()._start_row()
        self._acted = 0
        self._acting_seconds = 0.0

    def _row_state(self) -> dict[str, Any]:
        acting = {"acted": self._acted, "acting_seconds": self._acting_seconds}
        return super()._row_state() | acting

    def _load_row(self, row: dict[str, Any]) -> None:
        super()._load_row(row)
        self._acted = row["acted"]
        self._acting_seconds = row["acting_seconds"]

    def _add_rollout(self, rollout: RolloutInfo) -> None:
        self._acted += rollout.num_envs * self.steps_per_rollout
        self._acting_seconds += rollout.seconds
        for episode in rollout.episodes:
            self.episodes[episode.task] += 1
            self._returns[episode.task].append(episode.ret)
            self._lengths[episode.task].append(episode.length)

    def _normalised(self, row: Row) -> dict[str, float]:
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


def policy_view(envs: EnvsConfig, held_out: bool, memory: Sequence[str]) -> View:
    """Return how a run is shown.

    Args:
        envs: what it plays.
        held_out: whether it plays held-out levels too.
        memory: the learner's names for what the memory does, see `memory_names`.
    """
    kinds = ["held_out", "return"] if held_out else ["return"]
    tasks = [f"{kind}/{task}" for kind in kinds for task in envs.tasks]
    means = [f"{kind}_normalised/mean" for kind in kinds] if _has_ranges(envs) else []
    charts = _charts(envs, held_out, memory)
    return View("train", "frames", [*means, *tasks], charts, _table, _summary)


def _has_ranges(envs: EnvsConfig) -> bool:
    """Return whether the returns of all tasks can be normalised."""
    return all(normalise(task, envs.distribution_mode, 0.0) is not None for task in envs.tasks)


def _charts(envs: EnvsConfig, held_out: bool, memory: Sequence[str]) -> dict[str, Charts]:
    tasks = envs.tasks
    kinds, levels = ["return"], "return"
    overview: Charts = {}
    if held_out:
        kinds, levels = ["return", "held_out"], "return on training and on held-out levels"
    if _has_ranges(envs):
        means = [f"{kind}_normalised/mean" for kind in kinds]
        overview[f"normalised {levels}, mean of the games"] = lines(*means)
        if held_out:
            overview["difference of the two"] = lines("held_out_normalised/gap")
    categories: dict[str, Charts] = {
        "Overview": overview,
        # A chart for each game: TensorBoard draws all lines of a run in one colour.
        "Games": {
            f"{task}: {levels}": lines(*(f"{kind}/{task}" for kind in kinds)) for task in tasks
        },
        "Learning": {
            "losses per step": lines("loss/policy", "loss/value", "loss/entropy"),
            "entropy of the policy (nats)": lines("policy/entropy"),
            "gradient norm before clipping": lines("learner/grad_norm"),
            "learning rate": lines("learner/learning_rate"),
        },
        "Flow": {
            "frames per second": lines(
                "throughput/total", "throughput/acting", "throughput/learning"
            ),
            "weight lag (updates)": lines("policy/lag"),
            "share of clipped importance ratios": lines("policy/clipped_rhos"),
            "batches waiting": lines("queue/depth"),
            "episode length": lines(*(f"length/{task}" for task in tasks)),
        },
        "Memory": memory_charts(memory),
    }
    return {category: charts for category, charts in categories.items() if charts}


def _table(row: Row) -> Table:
    table = Table("game", box=None, header_style="bold")
    for title in ("return", "normalised", "held out", "length", "episodes"):
        table.add_column(title, justify="right")
    for task in _tasks(row):
        cells = [
            f"{row[f'{kind}/{task}']:.2f}" if f"{kind}/{task}" in row else "-"
            for kind in ("return", "return_normalised", "held_out", "length")
        ]
        table.add_row(task, *cells, f"{row[f'episodes/{task}']:,.0f}")
    return table


def _summary(row: Row) -> str:
    return f"return: {'  '.join(_returns(row, task) for task in _tasks(row))}"


def _returns(row: Row, task: str) -> str:
    text = f"{task} {row[f'return/{task}']:.2f}" if f"return/{task}" in row else f"{task} -"
    held_out = row.get(f"held_out/{task}")
    return text if held_out is None else f"{text} (held out {held_out:.2f})"


def _tasks(row: Row) -> list[str]:
    return [name.removeprefix("episodes/") for name in row if name.startswith("episodes/")]
