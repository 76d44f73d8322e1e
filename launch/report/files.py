"""Write and read the JSON files of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_json(file: Path, tree: object) -> None:
    """Write a JSON file; an interruption leaves the one that was there, or none."""
    beside = file.with_name(f"{file.name}.tmp")
    beside.write_text(json.dumps(tree, indent=1) + "\n")
    beside.rename(file)


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the objects of a file that has one on each line, as a run's `metrics.jsonl`.

    A run that goes on may just be writing the last line: it counts when it is whole.
    """
    whole = file.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]
