"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from envs import NORMALISATION
from launch.play.evaluate import Score, mean_normalised


def table(labels: Sequence[str], numbers: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table whose first columns are labels and the others numbers."""
    made = Table(box=None, header_style="bold")
    for label in labels:
        made.add_column(label)
    for number in numbers:
        made.add_column(number, justify="right")
    for row in rows:
        made.add_row(*row)
    return made


def score_table(scores: list[Score]) -> Table:
    """Return the scores as a table, with each split's mean normalised score below it."""
    table = Table(box=None, header_style="bold", caption=f"normalised: {NORMALISATION}")
    table.add_column("split")
    table.add_column("game")
    for title in ("episodes", "mean return", "± s.e.", "normalised"):
        table.add_column(title, justify="right")
    for split in dict.fromkeys(score.split for score in scores):
        rows = [score for score in scores if score.split == split]
        for s in rows:
            table.add_row(
                s.split,
                s.task,
                str(s.episodes),
                f"{s.mean:.2f}",
                _format(s.standard_error, 2),
                _format(s.normalised),
            )
        table.add_row(split, "mean", "", "", "", _format(mean_normalised(rows)), end_section=True)
    return table


def _format(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
