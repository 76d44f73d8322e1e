"""The starts of a run: when, where, with what command and versions it was started or continued."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch.errors import UserError

STARTS = "starts.jsonl"


def add_start(folder: Path, frames: int, facts: Mapping[str, object]) -> None:
    """Append a start to the file of a run's starts.

    Args:
        folder: of the run; it exists.
        frames: that the run had learnt from.
        facts: about the process and its machine.

    Raises:
        UserError: if the folder cannot be written.
    """
    try:
        with (folder / STARTS).open("a") as file:
            file.write(json.dumps({"frames": frames, **facts}) + "\n")
    except OSError as error:
        raise UserError(f"run_dir: {folder} cannot be written: {error.strerror}") from None


def read_starts(folder: Path) -> list[dict[str, Any]]:
    """Return the starts of a run, the first one first; of an older run there are none."""
    file = folder / STARTS
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
