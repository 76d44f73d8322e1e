"""`srwm` as a process of its own, and everything that it starts."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

import psutil

from tests.launch.runs import ROOT, rows

START = 120.0  # seconds that a start may take on a busy machine
STOP = 30.0  # seconds in which everything must have ended


class Driver:
    """`srwm` in a session of its own, and all processes that came of it."""

    def __init__(self, folder, *arguments):
        # Sockets lie below it, and their paths must be short.
        self.ray_folder = tempfile.mkdtemp(prefix="srwm-", dir="/tmp")
        self.mark = uuid.uuid4().hex
        self.run = folder / "run"
        self.log = folder / "log"
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RAY_TMPDIR": self.ray_folder,
            "SRWM_TEST": self.mark,
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "launch", *arguments],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.family = set()

    def look(self):
        """Note the processes of the family that live; once orphaned they have no such parent."""
        if self.process.poll() is None:
            self.family |= set(psutil.Process(self.process.pid).children(recursive=True))

    def living(self):
        """Return the processes that were seen, or bear the mark, and still live."""
        marked = {p for p in psutil.process_iter() if _mark_of(p) == self.mark}
        return {p for p in self.family | marked if p.pid != self.process.pid and _lives(p)}

    def actors(self, part):
        self.look()
        return [p for p in self.family if _lives(p) and part in _title_of(p)]

    def workers(self):
        return self.actors("WorkerActor")

    def learners(self):
        return self.actors("LearnerActor")

    def frames(self):
        """Return the frames of the last row, 0 before the first."""
        try:
            return rows(self.run)[-1]["frames"]
        except (OSError, ValueError, IndexError):
            return 0

    def text(self):
        return self.log.read_text()

    def wait_until(self, condition, seconds=START):
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"it ended:\n{self.text()}"
            assert time.monotonic() < end, f"nothing came of waiting:\n{self.text()}"
            time.sleep(0.2)
        self.look()

    def ends(self, seconds=START):
        """Wait for the end; return the exit status."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end:\n{self.text()}"
            self.look()
            time.sleep(0.2)
        return self.process.returncode

    def leaves_nothing(self, seconds=STOP, but=()):
        end = time.monotonic() + seconds
        while left := [p for p in self.living() if _name_of(p) not in but]:
            assert time.monotonic() < end, left
            time.sleep(0.2)
        return True

    def clean_up(self):
        self.look()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for process in self.living():
            process.kill()
        shutil.rmtree(self.ray_folder, ignore_errors=True)


def _mark_of(process):
    try:
        return process.environ().get("SRWM_TEST", "")
    except psutil.Error:
        return ""


def _name_of(process):
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def _title_of(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
