"""The starts of a run, with what they were made of."""

import platform
import shlex
import socket
import sys

import torch

from launch.run.starts import read_starts
from tests.launch.runs import TMAZE, changed, main, train


def test_each_start_of_a_run_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["srwm", "train", "a b"])
    run = train(tmp_path, changed(TMAZE, total_frames=40), "run")
    assert main("train", "--resume", str(run), "total_frames=80") == 0
    first, second = read_starts(run)
    assert (first["frames"], second["frames"]) == (0, 40)
    assert shlex.split(first["command"]) == ["srwm", "train", "a b"]
    assert first["host"] == socket.gethostname()
    assert (first["python"], first["torch"]) == (platform.python_version(), torch.__version__)
    assert first["time"] <= second["time"]


def test_an_older_run_has_none(tmp_path):
    assert read_starts(tmp_path) == []
