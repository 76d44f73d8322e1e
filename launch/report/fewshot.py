"""Tables, CSV and JSON of few-shot evaluations."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from launch.play.fewshot import FewShotResult, TaskScore
from launch.play.intervals import Estimate
from launch.report.facts import differing, plain, shared, with_half
from launch.report.table import table


class Row(NamedTuple):
    """An accuracy, and what a reader needs to know of it."""

    facts: dict[str, str]  # in words, by their names
    score: TaskScore


def score_rows(results: Sequence[FewShotResult]) -> list[Row]:
    """Return a row for each task of each result."""
    return [Row(_facts(result, score.task), score) for result in results for score in result.tasks]


def accuracy_table(results: Sequence[FewShotResult]) -> Table:
    """Return the accuracies, with the facts by which they differ."""
    rows = score_rows(results)
    names = differing([row.facts for row in rows])
    columns = [*((name, "") for name in names), ("accuracy %", ".1f"), ("95 % interval", "")]
    lines = [
        (*(row.facts[name] for name in names), 100 * estimate.mean, _interval(estimate))
        for row in rows
        for estimate in [row.score.overall]
    ]
    return table(columns, lines)


def shared_facts(results: Sequence[FewShotResult]) -> str:
    """Return what all rows of the tables share, and what the intervals are over."""
    units = {"seeds" if len(result.seeds) > 1 else "episodes" for result in results}
    return shared([row.facts for row in score_rows(results)], units)


def shot_tables(results: Sequence[FewShotResult]) -> list[Table]:
    """Return the accuracies by the examples seen, a table for each split and order of the tasks.

    There is none if all answers are after equally many examples.
    """
    rows = score_rows(results)
    if len({shot for row in rows for shot in row.score.by_shot}) < 2:
        return []
    names = [
        name for name in differing([row.facts for row in rows]) if name not in ("split", "order")
    ]
    tables: dict[str, list[Row]] = {}
    for row in rows:
        tables.setdefault(f"{row.facts['split']}: {row.facts['order']}", []).append(row)
    return [_shot_table(title, names, shown) for title, shown in tables.items()]


def _shot_table(title: str, names: Sequence[str], rows: Sequence[Row]) -> Table:
    shots = sorted({shot for row in rows for shot in row.score.by_shot})
    columns = [("examples seen", "d")]
    columns += [("\n".join(row.facts[name] for name in names), ".1f") for row in rows]
    lines = [
        (shot, *(with_half(row.score.by_shot.get(shot), ".1f", 100) for row in rows))
        for shot in shots
    ]
    return table(columns, lines, caption=f"{title}, % ± half of the 95 % interval")


def write_csv(file: Path, results: Sequence[FewShotResult]) -> None:
    """Write every accuracy on a line of its own, with all that is known of it.

    `by` is `all`, `shot` (`at` is the number of examples seen before) or `position` (`at` is the
    position in the sequence, from 0). Accuracies are in 0..1.
    """
    rows = score_rows(results)
    names = [*rows[0].facts, "by", "at", *Estimate._fields]
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(names)
        for facts, score in rows:
            for by, at, estimate in _estimates(score):
                writer.writerow([*map(plain, facts.values()), by, at, *estimate])


def as_tree(results: Sequence[FewShotResult]) -> list[dict[str, Any]]:
    """Return the results as plain values for JSON."""
    return [
        result._asdict() | {"tasks": [_task_tree(score) for score in result.tasks]}
        for result in results
    ]


def _facts(result: FewShotResult, task: str) -> dict[str, str]:
    return {
        "core": result.core,
        "backbone": result.backbone,
        "ways": str(result.n_way),
        "shots": str(result.k_shot),
        "trained shots": str(result.trained_k_shot),
        "queries": str(result.n_query or "-"),
        "labels": f"{result.labels}, shuffled" if result.shuffled else result.labels,
        "split": result.split,
        "order": " then ".join(result.order),
        "task": task,
        "episodes": f"{result.episodes:,}",
        "checkpoint": result.checkpoint,
        "images learnt": " ".join(f"{frames:,}" for frames in dict.fromkeys(result.frames)),
        "seeds": " ".join(map(str, result.seeds)),
    }


def _interval(estimate: Estimate) -> str | None:
    if estimate.low is None or estimate.high is None:
        return None
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"


def _estimates(score: TaskScore) -> Iterator[tuple[str, int | None, Estimate]]:
    yield "all", None, score.overall
    for shot, estimate in score.by_shot.items():
        yield "shot", shot, estimate
    for position, estimate in score.by_position.items():
        yield "position", position, estimate


def _task_tree(score: TaskScore) -> dict[str, Any]:
    return {
        "task": score.task,
        "overall": score.overall._asdict(),
        "by_shot": {shot: e._asdict() for shot, e in score.by_shot.items()},
        "by_position": {position: e._asdict() for position, e in score.by_position.items()},
    }
