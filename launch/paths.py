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
    try:
        return os.path.expandvars(os.path.expanduser(path))
    except ValueError:  # `~name` of a name that no user can have
        return path


def is_file(path: Path) -> bool:
    """Return whether there is a file; also of a name that none can have, as one too long."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def why_not_writable(path: Path) -> str | None:
    """Return why nothing of this name can be written, None if the name is good.

    Whether its folder is there and may be written to is not looked at.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # a NUL, or a sign that is none in the file system
        return str(error)
    return None
