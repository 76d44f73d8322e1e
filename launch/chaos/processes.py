"""The run as a process of its own, and the processes that come of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from launch.chaos.world import FOLDER

GONE_SECONDS = 30.0  # in which what the run has started must have gone

C = TypeVar("C", bound=Collection[object])


class Driver:
    """`srwm train --auto-resume`, started again and again.

    Args:
        config: file of the configuration.
        log: what it prints is appended to this file.
    """

    def __init__(self, config: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "launch", "train", str(config), "--auto-resume"]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.lives = 0  # how often it was started

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def start(self, *overrides: str) -> None:
        """Start the run, or continue it."""
        self.lives += 1
        with self._log.open("ab") as log:
            # Its own session: a Ctrl-C in the terminal is ours to handle.
            self._process = subprocess.Popen(
                [*self._command, *overrides], stdout=log, stderr=log, start_new_session=True
            )

    def send(self, number: signal.Signals) -> int:
        """Send a signal; return the process's id."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Wait for the end; return the exit status, None if there is none in time."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """End it."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def last_line(self) -> str:
        """Return what it printed last."""
        lines = self._log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def actors(part: str) -> list[psutil.Process]:
    """Return the living processes of Ray actors whose class has this name, by id."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            title = " ".join(process.cmdline())
            if title.startswith(f"ray::{part}") and lives(process):
                found.append(process)
        except psutil.Error:  # it has just ended
            continue
    return sorted(found, key=lambda process: process.pid)


def lives(process: psutil.Process) -> bool:
    """Return whether a process has not ended."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def marked(folder: Path) -> list[str]:
    """Return the living processes that belong to this chaos folder, but for this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != os.getpid()
                and process.environ().get(FOLDER) == str(folder)
                and lives(process)
            ):
                found.append(f"{process.pid} {' '.join(process.cmdline())[:60]}")
        except psutil.Error:
            continue
    return found


def left_after(seconds: float, find: Callable[[], C]) -> C:
    """Return what `find` still finds after so many seconds, at once if it finds nothing."""
    end = time.monotonic() + seconds
    while (left := find()) and time.monotonic() < end:
        time.sleep(0.2)
    return left


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables for the processes that are started inside."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
