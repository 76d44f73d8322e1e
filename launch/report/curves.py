"""Learning curves of groups of runs: the mean over seeds, in a band from the worst to the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

POINTS = 200  # of a group's curve, where its runs are compared


class Curve(NamedTuple):
    """One run: a value, such as a mean return, over frames or seconds."""

    x: Sequence[float]  # increasing
    y: Sequence[float]


class Panel(NamedTuple):
    """One chart."""

    title: str
    groups: Mapping[str, Sequence[Curve]]  # from a legend's label to its runs


def draw(panels: Sequence[Panel], xlabel: str, ylabel: str, columns: int = 2) -> Figure:
    """Return a picture with a chart for each panel; a label has one colour in all of them."""
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
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))  # 100k
    axis.set_title(panel.title)
    axis.grid(alpha=0.3)


def common_axis(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Bring the runs of a group to the same places.

    A run that ended before the others, as one does whose task is solved, keeps its last value.

    Returns:
        x [P] from the latest start to the latest end, and the values there [runs, P].
    """
    x = np.linspace(max(c.x[0] for c in curves), max(c.x[-1] for c in curves), POINTS)
    return x, np.array([np.interp(x, c.x, c.y) for c in curves])
