"""Draw few-shot evaluations: bars, or curves over positions where every position is answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from launch.play.fewshot import FewShotResult
from launch.play.intervals import Estimate
from launch.report.facts import differing
from launch.report.fewshot import score_rows

PANEL = (8, 3.4)  # inches
NAMED_BY_THE_PANEL = ("labels", "split", "order", "task")


def draw(results: Sequence[FewShotResult]) -> Figure:
    """Return a picture with a panel for each kind of labels, split and order of the tasks."""
    panels: dict[str, list[tuple[str, FewShotResult]]] = {}
    for name, result in zip(_names(results), results, strict=True):
        panels.setdefault(_title(result), []).append((name, result))
    width, height = PANEL
    figure = Figure((width, height * len(panels)), layout="constrained")
    for axis, (title, shown) in zip(
        figure.subplots(len(panels), squeeze=False).flat, panels.items(), strict=True
    ):
        if shown[0][1].labels == "delayed":
            _draw_curves(axis, shown)
        else:
            _draw_bars(axis, shown)
        for ways in {result.n_way for _, result in shown}:
            axis.axhline(100 / ways, color="0.5", linestyle=":", linewidth=1, zorder=0)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set(ylabel="accuracy in %", ylim=(0, 100))
        axis.grid(axis="y", alpha=0.3)
    figure.supxlabel("95 % intervals; dotted: chance", fontsize=8, color="0.35")
    return figure


def _names(results: Sequence[FewShotResult]) -> list[str]:
    """Return for each result what tells it from the others of its panel."""
    names = []
    rows = score_rows(results)
    told = [
        name for name in differing([row.facts for row in rows]) if name not in NAMED_BY_THE_PANEL
    ]
    for result in results:
        facts = score_rows([result])[0].facts
        names.append(", ".join(facts[told[0]] if n == told[0] else f"{n} {facts[n]}" for n in told))
    return names


def _title(result: FewShotResult) -> str:
    labels = f"{result.labels} labels" + (", shuffled" if result.shuffled else "")
    return f"{' then '.join(result.order)}, {result.split} classes, {labels}"


def _draw_bars(axis: Axes, shown: Sequence[tuple[str, FewShotResult]]) -> None:
    several = len(shown[0][1].tasks) > 1
    bars = [
        (f"{name}\n{score.task}" if several else name, score.overall)
        for name, result in shown
        for score in result.tasks
    ]
    names, estimates = zip(*bars, strict=True)
    places = np.arange(len(bars))
    mean, low, high = _percent(estimates)
    axis.bar(places, mean, width=0.6, color=[f"C{place}" for place in places])
    axis.errorbar(places, mean, [mean - low, high - mean], fmt="none", color="black", capsize=4)
    axis.set_xticks(places, names, fontsize=8)
    for place, value, top in zip(places, mean, high, strict=True):
        axis.annotate(f"{value:.1f}", (place, top), (0, 2), textcoords="offset points", ha="center")


def _draw_curves(axis: Axes, shown: Sequence[tuple[str, FewShotResult]]) -> None:
    for number, (name, result) in enumerate(shown):
        by_position = {at: e for score in result.tasks for at, e in score.by_position.items()}
        mean, low, high = _percent([*by_position.values()])
        axis.fill_between([*by_position], low, high, color=f"C{number}", alpha=0.2, linewidth=0)
        axis.plot([*by_position], mean, color=f"C{number}", label=name, linewidth=1)
    for number, score in enumerate(shown[0][1].tasks):
        start = min(score.by_position) - 0.5
        if number:
            axis.axvline(start, color="black", linestyle="--", linewidth=1)
        if len(shown[0][1].tasks) > 1:
            axis.text(start + 0.5, 2, score.task, fontsize=8, color="0.35")
    axis.set_xlabel("position in the sequence; dashed: the next task begins, nothing is reset")
    axis.legend(loc="lower right", fontsize=8)


def _percent(estimates: Sequence[Estimate]) -> np.ndarray:
    """Return means, lower and upper ends in per cent, [3, n]; without an interval, the mean."""
    ends = [(e.mean, *(e.mean if end is None else end for end in e[1:])) for e in estimates]
    return 100 * np.array(ends).T
