"""One process at a time in a run folder."""

import os
import subprocess
import sys

import pytest

from launch.errors import UserError
from launch.run.lock import RunLock

HOLD = """
import sys
from pathlib import Path
from launch.run.lock import RunLock
with RunLock(Path(sys.argv[1])) as lock:
    lock.sign()
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_named_and_its_end_frees_the_folder(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    holder = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(UserError, match=f"in use by process {holder.pid} on "),
            RunLock(tmp_path),
        ):
            pass
    finally:
        holder.kill()
        holder.wait()
    with RunLock(tmp_path):
        pass


def test_the_same_folder_can_be_held_again(tmp_path):
    for _ in range(2):
        with RunLock(tmp_path):
            pass


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be written"), RunLock(tmp_path / "none"):
        pass
