"""Where modules and files are looked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])
"""The folder that holds this project's packages."""


def find_own_modules() -> None:
    """Let modules of the user's own be found in the working directory, after this project's.

    Somebody's `envs` package or `agents.py` there must not take the place of ours.
    """
    here = os.getcwd()
    others = [path for path in sys.path if path not in ("", here, ROOT)]
    sys.path[:] = [*dict.fromkeys([ROOT, here]), *others]


def python_path() -> str:
    """Return the same order as a PYTHONPATH, for processes that are started from here."""
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys(filter(None, [ROOT, os.getcwd(), *inherited])))


def expand(path: str) -> str:
    """Return a path with `~` and `$VARIABLE` filled in."""
    return os.path.expandvars(os.path.expanduser(path))
