"""Show progress in the terminal while a run goes on."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from launch.run.view import Row, View

# Distance of plain lines in seconds: enough to see that it lives, few enough for a log file.
PLAIN_EVERY = 10.0


class Display(ABC):
    """Shows rows of metrics while it is open."""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *error: Any) -> None:
        return None

    def close(self) -> None:
        """Leave the terminal as it was."""
        return None

    @abstractmethod
    def show(self, row: Row) -> None:
        """Show the newest row."""


def make_display(console: Console, view: View, total: int, done: int) -> Display:
    """Return a live display on a terminal, plain lines elsewhere.

    Args:
        console: where it is shown.
        view: of the kind of run.
        total: frames of the whole run.
        done: frames that an earlier part of the run has done.
    """
    kind = LiveDisplay if console.is_terminal else PlainDisplay
    return kind(console, view, total, done)


class LiveDisplay(Display):
    """A progress bar over a table of scores, redrawn in place."""

    def __init__(self, console: Console, view: View, total: int, done: int) -> None:
        self._view = view
        self._progress = Progress(
            TextColumn(f"{{task.completed:,.0f}} / {{task.total:,.0f}} {view.unit}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=300,
        )
        self._bar = self._progress.add_task("", total=total, completed=done, rate="")
        self._live = Live(self._progress, console=console, refresh_per_second=2)

    def __enter__(self) -> LiveDisplay:
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)

    def close(self) -> None:
        self._live.stop()

    def show(self, row: Row) -> None:
        """Redraw."""
        rate = f"{row['throughput/total']:,.0f} {self._view.unit}/s"
        self._progress.update(self._bar, completed=row["frames"], rate=rate)
        self._live.update(Group(self._progress, self._view.table(row)))


class PlainDisplay(Display):
    """A line for a row of metrics, but no more than one every few seconds."""

    def __init__(self, console: Console, view: View, total: int, done: int) -> None:
        self._console = console
        self._view = view
        self._total = total
        self._last = float("-inf")

    def show(self, row: Row) -> None:
        """Print, if the last line is old enough or this is the last row."""
        now, frames = time.monotonic(), row["frames"]
        if now - self._last < PLAIN_EVERY and frames < self._total:
            return
        self._last = now
        rate, unit = row["throughput/total"], self._view.unit
        minutes = (self._total - frames) / rate / 60 if rate else float("inf")
        self._console.print(
            f"{frames:,.0f} / {self._total:,.0f} {unit}  {rate:,.0f} {unit}/s  "
            f"{max(minutes, 0):.1f} min left  {self._view.summary(row)}",
            soft_wrap=True,
            highlight=False,
        )
