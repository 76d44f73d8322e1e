"""What must hold of a run folder, whatever has happened to the run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from launch.errors import UserError
from launch.report.files import read_rows
from launch.run.folder import RunFolder
from launch.run.saved import parse
from learners import checkpoint


class Verdict(NamedTuple):
    """Whether an invariant holds."""

    invariant: str
    broken: str  # how, "" if it holds

    @property
    def holds(self) -> bool:
        """Whether it holds."""
        return not self.broken


def check_run(run: RunFolder, total_frames: int, frames_per_update: int) -> list[Verdict]:
    """Check the folder of a run that has ended.

    Args:
        run: its folder.
        total_frames: that it should have reached.
        frames_per_update: `learner.unroll_length` times `learner.batch_size`.
    """
    try:
        rows = read_rows(run.metrics_file)
        if not run.metrics_file.read_bytes().endswith(b"\n"):
            raise ValueError("its last row is cut off")
    except (OSError, ValueError) as error:
        return [Verdict("metrics can be read", f"{run.metrics_file}: {error}")]
    return [
        Verdict("frames are counted once", frames_counted_twice(rows, frames_per_update)),
        Verdict("weight versions rise", versions_that_fall(rows)),
        Verdict("checkpoints can be loaded", unreadable_checkpoints(run)),
        Verdict("final frames are reached", missing_frames(run, rows, total_frames)),
        Verdict("nothing unfinished in the run folder", unfinished_files(run.path)),
    ]


def frames_counted_twice(rows: Sequence[dict[str, Any]], frames_per_update: int) -> str:
    """Return where frames are counted twice: a row is repeated, or has more than were learnt."""
    for before, after in pairwise(rows):
        if after["frames"] <= before["frames"]:
            return f"a row of {after['frames']} frames follows one of {before['frames']}"
    for row in rows:
        # A version may be left out after a restart of the learner, but none has two updates. A
        # batch that is skipped, because it is not finite, makes no version.
        updates = row["updates"] + int(row.get("learner/skipped", 0))
        if row["frames"] > updates * frames_per_update:
            return f"{row['frames']} frames after {updates} updates of {frames_per_update}"
    return ""


def versions_that_fall(rows: Sequence[dict[str, Any]]) -> str:
    """Return where the version of the weights does not rise from one row to the next."""
    for before, after in pairwise(rows):
        if after["updates"] <= before["updates"]:
            return f"version {after['updates']} follows {before['updates']}"
    return ""


def unreadable_checkpoints(run: RunFolder) -> str:
    """Return which checkpoints cannot be loaded, or that there is none."""
    folders = [*checkpoint.saved(run.checkpoints), *checkpoint.saved(run.best)]
    if not folders:
        return "there is none"
    broken = []
    for folder in folders:
        try:
            saved = parse(checkpoint.load(folder), str(folder))
        except (checkpoint.CheckpointError, UserError) as error:
            broken.append(str(error))
        else:
            if folder.name != checkpoint.name_of(saved.frames):
                broken.append(f"{folder} is of {saved.frames} frames")
    return "; ".join(broken)


def missing_frames(run: RunFolder, rows: Sequence[dict[str, Any]], total_frames: int) -> str:
    """Return which end is short of the final frames: of the rows, or of the checkpoints."""
    newest = next((int(folder.name) for folder in checkpoint.saved(run.checkpoints)), 0)
    last = rows[-1]["frames"] if rows else 0
    if last < total_frames:
        return f"the last row has {last} of {total_frames} frames"
    if newest < total_frames:
        return f"the newest checkpoint has {newest} of {total_frames} frames"
    return ""


def unfinished_files(run: Path) -> str:
    """Return what a killed process began to write and nobody has removed."""
    left = [path for path in run.rglob("*.tmp")]
    return ", ".join(map(str, sorted(left)))
