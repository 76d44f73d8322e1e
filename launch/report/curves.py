"""Draw learning curves: of groups of runs, or of run folders beside an untrained policy.

    python -m launch.report.curves OUT.png RUN1 [RUN2 ...] --untrained RUN0

draws a chart for each game of the runs, and prints a table of their last million frames. RUN0 is a
run with a learning rate of practically zero. A point is the mean return of the last 100 episodes.
The band of the untrained policy is two standard deviations of such means: what leaves it is no
luck. The standard errors in the table are those of means that have no episode in common.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from launch.report.files import read_rows

POINTS = 200  # of a group's curve, where its runs are compared
EPISODES = 100  # that the return in a row of a run's metrics is the mean of
WINDOW = 1_000_000  # frames that the last returns are taken from


class Curve(NamedTuple):
    """One run: a value, such as a mean return, over frames or seconds."""

    x: Sequence[float]  # increasing
    y: Sequence[float]


class Panel(NamedTuple):
    """One chart."""

    title: str
    groups: Mapping[str, Sequence[Curve]]  # from a legend's label to its runs
    untrained: tuple[float, float] | None = None  # mean, and half the width of its band


def draw(panels: Sequence[Panel], xlabel: str, ylabel: str, columns: int = 2) -> Figure:
    """Return a picture with a chart for each panel; a label has one colour in all of them.

    A line is the mean of a group's runs, in a band from the worst to the best.
    """
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6 * columns, 3.6 * rows), layout="constrained")
    labels = list(dict.fromkeys(label for panel in panels for label in panel.groups))
    axes = [*figure.subplots(rows, columns, squeeze=False).flat]
    for axis, panel in zip(axes, panels, strict=False):
        _draw(axis, panel, {label: f"C{number}" for number, label in enumerate(labels)})
    for axis in axes[len(panels) :]:
        axis.remove()
    figure.supxlabel(xlabel)
    figure.supylabel(ylabel)
    handles = {
        text: handle
        for axis in figure.axes
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside right upper")
    return figure


def _draw(axis: Axes, panel: Panel, colours: Mapping[str, str]) -> None:
    for label, curves in panel.groups.items():
        x, runs = common_axis(curves)
        colour = colours[label]
        axis.fill_between(x, runs.min(0), runs.max(0), color=colour, alpha=0.15, linewidth=0)
        axis.plot(x, runs.mean(0), color=colour, label=label)
    if panel.untrained:
        mean, band = panel.untrained
        axis.axhline(mean, color="grey", linestyle="--", label="untrained")
        axis.axhspan(mean - band, mean + band, color="grey", alpha=0.2)
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))  # 100k
    axis.set_title(panel.title)
    axis.grid(alpha=0.3)


def common_axis(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Bring the runs of a group to the same places.

    A run that ended before the others, as one does that solved its task, keeps its last value.

    Returns:
        x [P] from the latest start to the latest end, and the values there [runs, P].
    """
    x = np.linspace(max(c.x[0] for c in curves), max(c.x[-1] for c in curves), POINTS)
    return x, np.array([np.interp(x, c.x, c.y) for c in curves])


def rows_of(run: Path) -> list[dict[str, Any]]:
    """Return a run's metrics from where each game has had enough episodes for a mean."""
    rows = read_rows(run / "metrics.jsonl")
    return [row for row in rows if min(row[f"episodes/{game}"] for game in games(row)) >= EPISODES]


def games(row: Mapping[str, Any]) -> list[str]:
    """Return the games of a row of metrics."""
    return [key.removeprefix("episodes/") for key in row if key.startswith("episodes/")]


def last_returns(
    rows: Sequence[Mapping[str, Any]], game: str, window: float = WINDOW
) -> NDArray[np.float64]:
    """Return the mean returns in a run's last `window` frames that have no episode in common."""
    chosen, seen = [], 0
    for row in rows:
        in_window = row["frames"] > rows[-1]["frames"] - window
        if in_window and row[f"episodes/{game}"] >= seen + EPISODES:
            chosen.append(row[f"return/{game}"])
            seen = row[f"episodes/{game}"]
    return np.array(chosen)


def smoothed(curve: Curve, window: float) -> Curve:
    """Return the mean of the values within half a window on both sides of each place."""
    x, y = np.array(curve.x), np.array(curve.y)
    return Curve(curve.x, [float(y[np.abs(x - at) <= window / 2].mean()) for at in x])


def _error(means: NDArray[np.float64]) -> float:
    """Return the standard error of the mean of independent values."""
    return float(means.std(ddof=1) / len(means) ** 0.5)


def main() -> None:
    """Draw run folders, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--untrained", type=Path, required=True)
    arguments = parser.parse_args()
    untrained = rows_of(arguments.untrained)
    runs = [rows_of(run) for run in arguments.runs]
    panels = []
    print("| game | untrained | last million frames | difference in standard errors |")
    print("|---|---|---|---|")
    for game in games(untrained[0]):
        chance = last_returns(untrained, game, window=np.inf)
        now = np.concatenate([last_returns(rows, game) for rows in runs])
        sigmas = (now.mean() - chance.mean()) / np.hypot(_error(now), _error(chance))
        print(
            f"| {game} | {chance.mean():.2f} ± {_error(chance):.2f} "
            f"| {now.mean():.2f} ± {_error(now):.2f} | {sigmas:+.1f} |"
        )
        band = 2 * float(chance.std(ddof=1))
        trained = [
            Curve([row["frames"] for row in rows], [row[f"return/{game}"] for row in rows])
            for rows in runs
        ]
        smooth = [smoothed(curve, WINDOW) for curve in trained]
        groups = {"last 100 episodes": trained, "mean over a million frames": smooth}
        panels.append(Panel(game, groups, (float(chance.mean()), band)))
    draw(panels, "frames, of all games together", "mean return", 3).savefig(arguments.out, dpi=90)


if __name__ == "__main__":
    main()
