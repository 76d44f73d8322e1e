"""One process at a time in a run folder."""

import os
import subprocess
import sys

import pytest

from launch.errors import UserError
from launch.run.lock import RunLock
from tests.launch.runs import copy_run, main

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


@pytest.mark.parametrize("how", ["--resume", "--auto-resume"])
def test_a_run_that_goes_on_is_neither_resumed_nor_changed(how, trained_tmaze, tmp_path, capsys):
    run = copy_run(trained_tmaze, tmp_path / "run")
    words = {
        "--resume": ["--resume", str(run)],
        "--auto-resume": [str(run / "config.yaml"), "--auto-resume", f"run_dir={run}"],
    }
    with RunLock(run) as lock:
        lock.sign()
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        assert main("train", *words[how], "total_frames=500") == 2
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"srwm: run_dir: {run} is in use by process {os.getpid()} on ")
    assert main("train", *words[how], "total_frames=420") == 0
