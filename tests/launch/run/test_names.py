"""The names that the system gives to run folders."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from launch.config.source import parse_config
from launch.run.folder import RunFolder
from tests.launch.runs import TMAZE


def start(seed):
    config = parse_config({**TMAZE, "seed": seed}, [], "test")
    run = RunFolder.new(config, "configs/mine.yaml")
    run.create(config)
    return run


def test_runs_that_start_in_the_same_second_have_folders_of_their_own(monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "20260101-000000")
    with ThreadPoolExecutor(8) as threads:
        runs = [*threads.map(start, [3] * 8)]
    first = "runs/mine-srwm-s3-20260101-000000"
    wanted = {first, *(f"{first}-{number}" for number in range(2, 9))}
    assert {str(run.path) for run in runs} == wanted
    assert {str(path.parent) for path in Path("runs").glob("*/config.yaml")} == wanted


def test_a_name_says_which_seed_it_is(monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "20260101-000000")
    names = [start(seed).path.name for seed in (0, 1)]
    assert names == [f"mine-srwm-s{seed}-20260101-000000" for seed in (0, 1)]
