"""`launch.workers=auto`, `launch.envs_per_worker=auto`: from measured speeds to numbers."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from launch import layout
from launch.bench.parts import apart
from launch.config import parse_config
from launch.errors import RunError, UserError
from launch.layout import Machine, Speed
from tests.launch.runs import ROOT, TMAZE, changed, main, write_config

AUTO = {"launch__workers": "auto", "launch__envs_per_worker": "auto"}


def speed(learning, acting=1000.0, environments=1e9):
    return Speed({12: 0.5 * acting, 24: 0.95 * acting, 48: acting}, environments, learning)


@pytest.mark.parametrize(
    ("cores", "gpu", "learning", "workers"),
    [
        # With acting at 950 frames/s a core and learning at half of that, acting takes a third.
        (1, False, 470, 1),
        (3, False, 3 * 470, 1),
        (6, False, 6 * 470, 2),
        (7, False, 7 * 470, 3),
        (48, False, 48 * 470, 16),
        # A GPU learns meanwhile, and one core feeds it.
        (16, True, 900, 1),
        (16, True, 9000, 10),
        (16, True, 1e6, 15),
        (1, True, 1e6, 1),
    ],
)
def test_acting_keeps_up_with_learning(cores, gpu, learning, workers):
    found, envs = layout.layout(speed(learning), Machine(cores, gpu), 6, None, None)
    assert found == workers
    assert envs >= 24 and found * envs >= 48  # the smallest fast batch; as many as in the paper
    assert found * envs % 6 == 0


def test_stepping_counts_as_acting_does():
    # Half of a worker's time: it does 475 frames/s instead of 950.
    slow = speed(9000, environments=950.0)
    assert layout.layout(slow, Machine(64, True), 1, None, None)[0] == 19


@pytest.mark.parametrize(("tasks", "wanted"), [(1, 24), (5, 25), (7, 28), (16, 24)])
def test_tasks_share_the_environments_equally(tasks, wanted):
    # Two workers of 24 at least: 48 are a multiple of 16 already, not of 5.
    assert layout.layout(speed(1), Machine(2, False), tasks, 2, None) == (2, wanted)


@pytest.mark.parametrize(
    ("envs", "tasks", "workers"), [(24, 1, 2), (30, 4, 2), (10, 7, 7), (64, 6, 3)]
)
def test_workers_complete_what_was_given(envs, tasks, workers):
    assert layout.layout(speed(1), Machine(1, False), tasks, None, envs) == (workers, envs)


def settled(monkeypatch, **changes):
    asked = []

    def measured(times, function, config, envs):
        asked.append((times, config.launch, envs))
        return [speed(475)]

    monkeypatch.setattr(layout, "apart", measured)
    monkeypatch.setattr(layout, "cpu_count", lambda: 2)
    return parse_config(changed(TMAZE, launch__mode="ray", **changes), [], "test").launch, asked


def test_a_config_holds_the_numbers(monkeypatch):
    launch, asked = settled(monkeypatch, **AUTO)
    assert (launch.workers, launch.envs_per_worker, launch.worker_threads) == (1, 48, 1)
    assert [envs for _, _, envs in asked] == [None]
    assert launch.learner_threads == 1  # what else the section says stays

    launch, asked = settled(monkeypatch, launch__envs_per_worker="auto")
    assert (launch.workers, launch.envs_per_worker, launch.worker_threads) == (2, 24, None)

    launch, asked = settled(monkeypatch, launch__workers="auto", launch__worker_threads=3)
    assert (launch.workers, launch.envs_per_worker, launch.worker_threads) == (16, 3, 3)
    assert [envs for _, _, envs in asked] == [3]


def test_nothing_is_measured_without_auto(monkeypatch):
    assert settled(monkeypatch)[1] == []


def test_in_one_process_workers_would_only_take_turns(monkeypatch):
    monkeypatch.setattr(layout, "apart", lambda *_: [speed(1e6)])
    monkeypatch.setattr(layout, "cpu_count", lambda: 64)
    launch = parse_config(changed(TMAZE, **AUTO), [], "test").launch
    assert (launch.mode, launch.workers) == ("local", 1)


def test_what_is_wrong_is_told_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr(layout, "apart", None)
    for change, line in [
        ({"learner__batch_size": 0}, "learner.batch_size"),
        ({"envs__tasks": ["nope"]}, "unknown task 'nope'"),
        ({"launch__mode": "ray", "launch__address": "auto"}, "launch.workers and launch.envs_"),
    ]:
        with pytest.raises(UserError, match=line):
            parse_config(changed(TMAZE, **AUTO, **change), [], "test")


@pytest.mark.slow
def test_a_run_starts_with_what_was_measured(tmp_path):
    config = write_config(tmp_path / "c.yaml", changed(TMAZE, **AUTO))
    assert main("train", str(config), "run_dir=run") == 0
    launch = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["launch"]
    assert launch["workers"] == 1
    assert launch["envs_per_worker"] in (48, 96)


@pytest.mark.slow
def test_what_does_not_go_together_is_one_line(tmp_path, capsys):
    tree = changed(TMAZE, **AUTO, agent__encoder="impala")  # which wants images
    assert main("train", str(write_config(tmp_path / "c.yaml", tree))) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("srwm: ") and "impala" in line


@pytest.mark.slow
def test_what_cannot_be_learnt_is_one_line(tmp_path, capsys):
    tree = changed(TMAZE, **AUTO, learner__value_cost=1e39)
    assert main("train", str(write_config(tmp_path / "c.yaml", tree))) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("srwm: no update could be measured: ")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_process_that_dies_while_it_measures_is_told():
    with pytest.raises(RunError, match="the process that measured died"):
        apart(2, die)


@pytest.mark.slow
def test_measuring_ends_with_the_program(tmp_path):
    script = "import time; from launch.bench.parts import apart; apart(1, time.sleep, 600)"
    program = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        measuring = _wait_for(lambda: psutil.Process(program.pid).children(recursive=True), 60)
        time.sleep(3)  # until it sleeps
    finally:
        program.kill()
        program.wait()
    assert _wait_for(lambda: not any(child.is_running() for child in measuring), 20)


def _wait_for(condition, seconds):
    until = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.1)
    return found
