"""Show what a chaos has shown: tables, and throughput over time with the faults marked."""

from __future__ import annotations

from matplotlib.figure import Figure
from rich.table import Table

from launch.chaos.history import rates
from launch.chaos.result import Result
from launch.report.table import table

POINTS = 240  # of the throughput, at most
LEAST_SECONDS = 2.0  # of a point: rows come about once a second


def tables(result: Result) -> list[Table]:
    """Return the faults by kind, and the invariants."""
    kinds = [("fault", ""), ("planned", "d"), ("happened", "d")]
    kinds += [("recovery s, median", ".1f"), ("worst", ".1f"), ("not recovered", "d")]
    verdicts = [
        (verdict.invariant, "holds" if verdict.holds else f"BROKEN: {verdict.broken}")
        for verdict in result.verdicts
    ]
    return [
        table(kinds, result.kinds(), caption="recovery: until the frames rise again"),
        table([("invariant", ""), ("", "")], verdicts),
    ]


def picture(result: Result, title: str) -> Figure:
    """Return the throughput over time, and below it when the faults of each kind happened."""
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    end = result.samples[-1].time if result.samples else 0.0
    seconds, throughput = rates(result.samples, max(LEAST_SECONDS, end / POINTS))
    above.plot([second / 60 for second in seconds], throughput, linewidth=0.9)
    above.set(ylabel="frames per second", ylim=(0, None), title=title)
    above.grid(alpha=0.3)
    names = list(result.planned)
    for row, kind in enumerate(names):
        minutes = [event.time / 60 for event in result.events if event.kind == kind]
        below.plot(minutes, [row] * len(minutes), "|", markersize=10, color=f"C{row}")
        if kind in ("driver killed", "learner killed"):
            for minute in minutes:
                above.axvline(minute, color=f"C{row}", linewidth=0.8, linestyle="--")
    below.set_yticks(range(len(names)), names)
    below.set(xlabel="minutes", ylim=(len(names) - 0.5, -0.5))
    below.grid(alpha=0.3, axis="x")
    return figure
