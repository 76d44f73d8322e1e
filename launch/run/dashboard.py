"""Write rows of metrics to `metrics.jsonl` and TensorBoard, under the same names."""

from __future__ import annotations

import json
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from launch.config.source import AnyConfig
from launch.run.description import describe
from launch.run.folder import RunFolder
from launch.run.starts import read_starts
from launch.run.view import View


class Dashboard:
    """Writes the metrics of a run.

    Args:
        run: its folder.
        config: the run's.
        view: what is drawn, and by what it is judged.
        resumed_at: the frames of the checkpoint that it goes on from.
    """

    def __init__(
        self,
        run: RunFolder,
        config: AnyConfig,
        view: View,
        resumed_at: int | None = None,
    ) -> None:
        self._run = run
        self._open(resumed_at)
        *_, start = {}, *read_starts(run.path)
        describe(self._writer, config, view.scores, start, resumed_at or 0)
        self._writer.add_custom_scalars(view.charts)

    def write(self, row: dict[str, float]) -> None:
        """Append one row."""
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in row.items():
            if name != "frames":
                self._writer.add_scalar(name, value, int(row["frames"]))
        self._writer.flush()

    def rewind(self, frames: int) -> None:
        """Set aside what was written after `frames`: the run does it again."""
        self.close()
        self._open(frames)

    def close(self) -> None:
        """Flush and close the files."""
        self._file.close()
        self._writer.close()

    def _open(self, resumed_at: int | None) -> None:
        # A new run may be in the folder of one that ended before its first checkpoint.
        kept = -1 if resumed_at is None else resumed_at
        set_aside_after(self._run.metrics_file, kept)
        self._file = self._run.metrics_file.open("a")
        # Events of a run that got further before it was interrupted are not drawn.
        self._writer = SummaryWriter(str(self._run.path), purge_step=kept + 1)


def set_aside_after(metrics: Path, frames: int) -> None:
    """Keep the rows up to `frames` in the file, and move later ones into a file beside it.

    They are from updates after the checkpoint that the run is resumed from.
    """
    if not metrics.exists():
        return
    lines = metrics.read_text().splitlines(keepends=True)
    kept = [line for line in lines if _frames(line) <= frames]
    if len(kept) == len(lines):
        return
    later = [line for line in lines if _frames(line) > frames]
    number = sum(1 for _ in metrics.parent.glob("metrics.superseded-*.jsonl"))
    (metrics.parent / f"metrics.superseded-{number}.jsonl").write_text("".join(later))
    beside = metrics.with_suffix(".tmp")
    beside.write_text("".join(kept))
    beside.rename(metrics)


def _frames(line: str) -> float:
    try:
        return float(json.loads(line)["frames"])
    except (ValueError, KeyError):
        return float("inf")  # cut off by a crash
