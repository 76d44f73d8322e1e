"""Compare runs: their metrics as curves, runs that differ in their seed only as one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from launch.config.fewshot import FewShotConfig
from launch.config.source import AnyConfig
from launch.config.values import values_of
from launch.errors import UserError
from launch.report.curves import Curve, Panel, draw
from launch.report.differences import differing_keys, labelled
from launch.report.files import read_rows
from launch.run.folder import RunFolder

Rows = Sequence[Mapping[str, float]]


class OpenedRun(NamedTuple):
    """A run whose curves are drawn."""

    name: str
    config: AnyConfig
    rows: Rows

    @property
    def keys(self) -> dict[str, str]:
        """The values of its configuration by dotted key."""
        return values_of(self.config)


def open_runs(paths: Sequence[str | Path]) -> list[OpenedRun]:
    """Read configuration and metrics of run folders.

    Raises:
        UserError: if one is no run folder, has no metrics yet, or runs are of both kinds.
    """
    runs = []
    for path in paths:
        folder, config = RunFolder.open_any(path)
        rows = read_rows(folder.metrics_file) if folder.metrics_file.is_file() else []
        if not rows:
            raise UserError(f"{path}: has no metrics yet")
        runs.append(OpenedRun(str(path), config, rows))
    kinds = {isinstance(run.config, FewShotConfig): run.name for run in runs}
    if len(kinds) > 1:
        raise UserError(f"{kinds[False]} plays games and {kinds[True]} is a few-shot run")
    return runs


def plot(runs: Sequence[OpenedRun], metrics: Sequence[str] = (), by: Sequence[str] = ()) -> Figure:
    """Return a picture with a chart for each metric, over frames (few-shot: images).

    A line is the mean of the runs that are alike, in a band from the worst to the best.

    Args:
        runs: one at least.
        metrics: names in `metrics.jsonl`; by default the returns of the games, or the accuracies.
        by: keys of the configuration; runs with the same values are alike. By default all keys in
            which the runs differ, but for the seed and what does not change the learning.

    Raises:
        UserError: if no run has such a metric or key.
    """
    names = list(dict.fromkeys(metrics)) or _default_metrics(runs)
    groups = group_runs(runs, by)
    panels = []
    for name in names:
        curves = {
            label: [curve for run in alike if (curve := _curve(run.rows, name)).x]
            for label, alike in groups.items()
        }
        panels.append(Panel(name, {label: found for label, found in curves.items() if found}))
        if not panels[-1].groups:
            raise UserError(f"metric {name!r}: no run has it{_nearest(name, all_metrics(runs))}")
    unit = "images" if isinstance(runs[0].config, FewShotConfig) else "frames"
    return draw(panels, unit, "", columns=min(2, len(panels)))


def _default_metrics(runs: Sequence[OpenedRun]) -> list[str]:
    known = all_metrics(runs)
    if isinstance(runs[0].config, FewShotConfig):
        return [name for name in ("accuracy/train", "accuracy/validation") if name in known]
    wanted = [name for name in known if name.startswith("return/")]
    if not wanted:
        raise UserError(f"{runs[0].name}: has no return yet: name another metric")
    return wanted


def all_metrics(runs: Sequence[OpenedRun]) -> list[str]:
    """Return the names of the metrics that any of the runs has."""
    return list(dict.fromkeys(name for run in runs for row in run.rows for name in row))


def _curve(rows: Rows, name: str) -> Curve:
    """Return a metric over frames."""
    points = [(row["frames"], row[name]) for row in rows if name in row]
    return Curve([x for x, _ in points], [y for _, y in points])


def group_runs(runs: Sequence[OpenedRun], by: Sequence[str] = ()) -> dict[str, list[OpenedRun]]:
    """Return the runs by the label of their line; `by` as in `plot`."""
    keys = list(by) or differing_keys([run.keys for run in runs])
    groups: dict[str, list[OpenedRun]] = {}
    for run in runs:
        missing = [key for key in by if key not in run.keys]
        if missing:
            raise UserError(
                f"--by {missing[0]}: {run.name} has no such key{_nearest(missing[0], [*run.keys])}"
            )
        label = ", ".join(labelled(key, run.keys.get(key)) for key in keys)
        groups.setdefault(label or run.config.core, []).append(run)
    return groups


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {near[0]}?" if near else ""
