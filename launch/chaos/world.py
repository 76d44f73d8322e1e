"""Environments that raise or hang when they are told to.

A plug-in of the run (`imports`). For each task that the chaos folder lists it registers another one
around it, which plays the same until it finds a file `raise` or `hang` in that folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium

from envs.registry import OLD_GYM, make, register_env
from envs.suites import GAMES

MODULE = __name__
FOLDER = "SRWM_CHAOS"
"""Variable with the chaos folder. All processes of the run have it, and are known by it."""
TASKS = "tasks.json"


def can_fail(tasks: Sequence[str]) -> bool:
    """Return whether these tasks can be wrapped: those of Gymnasium, not ProcGen or the old gym."""
    return not any(task in GAMES or task.startswith(OLD_GYM) for task in tasks)


def alias(task: str) -> str:
    """Return the name of a task once it is wrapped."""
    return "chaos/" + task.replace("/", ".").replace(":", ".")


def write_tasks(folder: Path, tasks: Sequence[str]) -> None:
    """Write which tasks are to be wrapped."""
    (folder / TASKS).write_text(json.dumps(list(tasks)))


def order(folder: Path, what: str) -> None:
    """Ask for one environment that fails.

    Args:
        folder: of the chaos.
        what: `raise` or `hang`.
    """
    (folder / what).touch()


def taken_by(folder: Path, what: str) -> int | None:
    """Return the process of the environment that has failed so, None if none has yet."""
    for file in folder.glob(f"{what}.*"):
        file.unlink()
        return int(file.suffix[1:])
    return None


class Faulty(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that fails once for each file that it finds.

    Args:
        env: that it is otherwise.
        folder: of the chaos.
    """

    def __init__(self, env: Any, folder: Path) -> None:
        super().__init__(env)
        self.folder = folder

    def step(self, action: Any) -> Any:
        """Raise, hang, or do what the environment does."""
        if self._take("raise"):
            raise RuntimeError("chaos")
        if self._take("hang"):
            time.sleep(10**6)
        return self.env.step(action)

    def _take(self, what: str) -> bool:
        """Take the file, if it is there; of all environments one gets it."""
        with suppress(FileNotFoundError):
            (self.folder / what).rename(self.folder / f"{what}.{os.getpid()}")
            return True
        return False


def register(folder: Path) -> None:
    """Register the wrapped tasks that the folder lists."""
    for task in json.loads((folder / TASKS).read_text()):
        register_env(alias(task), kwargs={"task": task, "folder": folder})(_make)


def _make(task: str, folder: Path) -> Faulty:
    return Faulty(make(task), folder)


if FOLDER in os.environ:
    register(Path(os.environ[FOLDER]))
