"""Undo an environment's change of the working directory."""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)


def restore_directory(before: str, task: str) -> None:
    """Go back to the working directory `before` if an environment has left it."""
    try:
        moved = os.getcwd() != before
    except FileNotFoundError:
        moved = True
    if moved:
        log.warning("task %r changed the working directory: changed back to %s", task, before)
        os.chdir(before)
