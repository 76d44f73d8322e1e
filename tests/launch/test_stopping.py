"""Signals to a real process in the middle of an update that takes a minute."""

import os
import signal
import subprocess
import sys
import time

import pytest

from learners import checkpoint as store
from tests.launch.runs import checkpoint, checkpoints

pytestmark = pytest.mark.slow

SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
signal.signal(signal.SIGINT, signal.default_int_handler)  # or in a shell's background
from dataclasses import replace
from pathlib import Path
from rich.console import Console
from launch.cli.output import keep_output_alive
from launch.config.source import parse_config
from launch.driver import drive
from launch.flow.base import FlowState, UpdateReport
from launch.flow.build import build_agent
from launch.job import policy_job
from launch.run.folder import RunFolder
from tests.launch.runs import TMAZE

class Flow:
    frames = 0
    def update(self):
        if self.frames == 60:
            print("a long update", flush=True)
            time.sleep(60)
        time.sleep(0.5)  # copies of the state take a small share of the time
        self.frames += 20
        return UpdateReport(self.frames, self.frames // 20, {}, [], 0.0)
    def newest(self):
        return None
    def save(self):
        return FlowState({"frames": self.frames, "version": self.frames // 20})
    def close(self):
        pass

keep_output_alive()
config = parse_config({**TMAZE, "total_frames": 200}, [], "test")
run = RunFolder(sys.argv[1])
run.create(config)
job = replace(policy_job(config, build_agent(config)), start=lambda _: Flow())
drive(job, run, Console(), own_process=True)
"""


@pytest.fixture
def run(tmp_path):
    """A run in the middle of its long update."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    )
    for line in process.stdout:
        if "a long update" in line:
            break
    yield process
    process.kill()
    process.wait()


def saved(folder):
    """Return the frames of the one checkpoint, which can be read."""
    (frames,) = checkpoints(folder / "run")
    assert store.load(checkpoint(folder / "run", frames))["learner"]["frames"] == frames
    return frames


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_the_newest_state_without_waiting(run, number, tmp_path):
    os.killpg(run.pid, number)  # to every process, as SLURM does
    assert run.wait(10) == 0
    assert saved(tmp_path) >= 40
    told = run.stderr.read()
    assert "stopped without waiting for the update; continue it with: srwm train --resume" in told


def test_a_second_signal_does_not_even_wait_a_moment(run, tmp_path):
    started = time.monotonic()
    run.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    assert run.wait(10) == 0
    assert saved(tmp_path) >= 40
    assert time.monotonic() - started < 60


def test_the_reader_of_the_output_may_go_away(run, tmp_path):
    run.stdout.close()
    run.send_signal(signal.SIGTERM)
    assert run.wait(10) == 0
    assert saved(tmp_path) >= 40
