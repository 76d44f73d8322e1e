"""Draw evaluations of runs that play games: bars by game and split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from envs import NORMALISATION
from launch.play.intervals import Estimate
from launch.play.policies import GAP, PolicyResult
from launch.report.facts import differing
from launch.report.policies import facts_of, shared_facts

HEIGHT = 2.8  # inches of a panel
BAR, MARGIN = 0.28, 2.0  # inches
GROUP = 0.8  # width of the bars of a game, in units of the distance between games

Bars = dict[str, dict[str, Estimate]]
"""Estimates by the name below the bars and by split."""


def draw(results: Sequence[PolicyResult]) -> Figure:
    """Return a picture with a panel for each result: normalised returns where all have them.

    Beside the games are the statistics of all games.
    """
    normalised = all(result.aggregates for result in results)
    panels = [_bars(result, normalised) for result in results]
    splits = list(
        dict.fromkeys(split for bars in panels for group in bars.values() for split in group)
    )
    widest = max(len(bars) for bars in panels)
    width = max(6.0, MARGIN + BAR * widest * (len(splits) + 1))
    figure = Figure((width, HEIGHT * len(results) + 0.5), layout="constrained")
    facts = facts_of(results)
    names = differing(facts)
    axes = figure.subplots(len(results), squeeze=False, sharey=normalised)[:, 0]
    for axis, bars, known in zip(axes, panels, facts, strict=True):
        _draw_panel(axis, bars, splits)
        told = ", ".join(
            known[name] if name == "core" else f"{name} {known[name]}" for name in names
        )
        axis.set_title(told, loc="left", fontsize=10)
        axis.set_ylabel("normalised return" if normalised else "return")
    axes[0].legend(loc="upper right", fontsize=8, ncols=len(splits))
    note = f"95 % bootstrap intervals. {shared_facts(results)}"
    if normalised:
        note += f" Normalised: {NORMALISATION}."
    figure.supxlabel(note, fontsize=7, color="0.35", wrap=True)
    return figure


def _bars(result: PolicyResult, normalised: bool) -> Bars:
    bars: Bars = {}
    for split, task, ret, scaled in result.scores:
        bars.setdefault(task, {})[split] = scaled if normalised and scaled is not None else ret
    for statistic, split, estimate in result.aggregates if normalised else ():
        if split != GAP:
            bars.setdefault(statistic, {})[split] = estimate
    return bars


def _draw_panel(axis: Axes, bars: Bars, splits: Sequence[str]) -> None:
    places = np.arange(len(bars))
    width = GROUP / len(splits)
    for number, split in enumerate(splits):
        mean, low, high = _ends([group.get(split) for group in bars.values()])
        at = places + (number - (len(splits) - 1) / 2) * width
        axis.bar(at, mean, width, color=f"C{number}", label=split)
        error = np.stack([mean - low, high - mean])
        axis.errorbar(at, mean, error, fmt="none", color="black", capsize=2, linewidth=1)
    axis.axhline(0, color="0.3", linewidth=0.8)
    axis.set_xticks(places, [*bars], fontsize=8)
    axis.grid(axis="y", alpha=0.3)
    axis.margins(y=0.15)


def _ends(estimates: Sequence[Estimate | None]) -> np.ndarray:
    """Return means, lower and upper ends, [3, n]; NaN where there is nothing to draw."""
    ends = []
    for estimate in estimates:
        mean, low, high = estimate or (np.nan, None, None)
        mean = mean if np.isfinite(mean) else np.nan
        ends.append((mean, mean if low is None else low, mean if high is None else high))
    return np.array(ends).T
