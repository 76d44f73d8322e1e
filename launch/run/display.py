"""What the terminal shows while a run is on."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

# Distance of plain lines in seconds: enough to see that it lives, few enough for a log file.
PLAIN_EVERY = 10.0


class Display(ABC):
    """Shows rows of metrics while it is open."""

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    @abstractmethod
    def show(self, row: dict[str, float]) -> None:
        """Show the newest row."""


def make_display(console: Console, total_frames: int, done: int) -> Display:
    """Return a live display on a terminal, plain lines elsewhere."""
    kind = LiveDisplay if console.is_terminal else PlainDisplay
    return kind(console, total_frames, done)


class LiveDisplay(Display):
    """A progress bar over a table of the games, redrawn in place."""

    def __init__(self, console: Console, total_frames: int, done: int) -> None:
        self._progress = Progress(
            TextColumn("{task.completed:,.0f} / {task.total:,.0f} frames"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=300,
        )
        self._bar = self._progress.add_task("", total=total_frames, completed=done, rate="")
        self._live = Live(self._progress, console=console, refresh_per_second=2)

    def __enter__(self) -> LiveDisplay:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, row: dict[str, float]) -> None:
        """Redraw."""
        rate = f"{row['throughput/total']:,.0f} frames/s"
        self._progress.update(self._bar, completed=row["frames"], rate=rate)
        table = Table("game", box=None, header_style="bold")
        for title in ("return", "normalised", "length", "episodes"):
            table.add_column(title, justify="right")
        for task in _tasks(row):
            cells = [
                f"{row[f'{kind}/{task}']:.2f}" if f"{kind}/{task}" in row else "-"
                for kind in ("return", "return_normalised", "length")
            ]
            table.add_row(task, *cells, f"{row[f'episodes/{task}']:,.0f}")
        self._live.update(Group(self._progress, table))


class PlainDisplay(Display):
    """A line for a row of metrics, but no more than one every few seconds."""

    def __init__(self, console: Console, total_frames: int, done: int) -> None:
        self._console = console
        self._total = total_frames
        self._last = float("-inf")

    def show(self, row: dict[str, float]) -> None:
        """Print, if the last line is old enough or this is the last row."""
        now, frames = time.monotonic(), row["frames"]
        if now - self._last < PLAIN_EVERY and frames < self._total:
            return
        self._last = now
        rate = row["throughput/total"]
        minutes = (self._total - frames) / rate / 60 if rate else float("inf")
        returns = "  ".join(
            f"{task} {row[f'return/{task}']:.2f}" if f"return/{task}" in row else f"{task} -"
            for task in _tasks(row)
        )
        self._console.print(
            f"{frames:,.0f} / {self._total:,.0f} frames  {rate:,.0f} frames/s  "
            f"{max(minutes, 0):.1f} min left  return: {returns}",
            soft_wrap=True,
            highlight=False,
        )


def _tasks(row: dict[str, float]) -> list[str]:
    return [name.removeprefix("episodes/") for name in row if name.startswith("episodes/")]
