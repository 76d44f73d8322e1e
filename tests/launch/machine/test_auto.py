"""`launch.workers=auto`, `launch.envs_per_worker=auto`: from measured speeds to numbers."""

import os
import signal
import subprocess
import sys
import time
from importlib import import_module

import psutil
import pytest
import yaml

import envs
from launch.config.source import dump_config, parse_config
from launch.errors import RunError, UserError
from launch.flow import resources
from launch.machine import auto, doctor
from launch.machine.auto import Machine, Speed, resolve_auto
from launch.machine.doctor import Finding
from launch.machine.parts import in_processes
from tests.launch.runs import (
    ROOT,
    TMAZE,
    changed,
    checkpoint,
    checkpoints,
    damage,
    main,
    train,
    write_config,
)

AUTO = {"launch__workers": "auto", "launch__envs_per_worker": "auto"}


GAMES = ["coinrun", "starpilot", "caveflyer", "dodgeball", "fruitbot", "chaser", "miner", "jumper"]
GAMES += ["leaper", "maze", "bigfish", "heist", "climber", "plunder", "ninja", "bossfight"]


def speed(learning, acting=1000.0, environments=1e9):
    return Speed({12: 0.5 * acting, 24: 0.95 * acting, 48: acting}, environments, learning)


def config_of(tasks=6, **changes):
    given = {"envs__tasks": GAMES[:tasks], "launch__mode": "ray", "launch__envs_per_worker": tasks}
    given["launch__learner_threads"] = None
    return parse_config(changed(TMAZE, **given | changes), [], "test")


@pytest.mark.parametrize(
    ("cores", "gpus", "learning", "workers"),
    [
        # With acting at 950 frames/s a core and learning at half of that, acting takes a third.
        (1, 0, 470, 1),
        (3, 0, 3 * 470, 1),
        (6, 0, 6 * 470, 2),
        (7, 0, 7 * 470, 3),
        (48, 0, 48 * 470, 16),
        # A GPU learns meanwhile, and one core feeds it.
        (16, 1, 900, 1),
        (16, 1, 9000, 10),
        (16, 1, 1e6, 15),
        (1, 1, 1e6, 1),
        (16, 8, 900, 1),  # of which one learns
    ],
)
def test_acting_keeps_up_with_learning(cores, gpus, learning, workers):
    found, envs = auto.choose(speed(learning), Machine(cores, gpus), config_of(), None, None)
    assert found == workers
    assert envs >= 24 and found * envs >= 48  # the smallest fast batch; as many as in the paper
    assert found * envs % 6 == 0


def test_several_learners_want_so_many_times_the_workers_and_a_core_each():
    two = config_of(learner__devices=2)
    assert auto.choose(speed(1890), Machine(64, 2), two, None, None)[0] == 4
    assert auto.choose(speed(1e6), Machine(64, 2), two, None, None)[0] == 62
    assert auto.choose(speed(1e6), Machine(2, 2), two, None, None)[0] == 1


@pytest.mark.parametrize(
    ("learners", "threads", "workers"),
    [
        (1, None, 2),  # learning takes all six cores for two thirds of the time
        (2, None, 2),  # which two learners share
        (1, 2, 1),  # 940 frames/s, from two cores
        (2, 2, 2),  # twice that, from four
        (6, 2, 2),  # no more than six cores are there
        (1, 99, 2),
    ],
)
def test_learners_on_a_cpu_take_the_cores_that_they_may(learners, threads, workers):
    # A core makes 470 frames/s of learning or 950 of acting.
    config = config_of(
        learner__devices=learners, learner__batch_size=12, launch__learner_threads=threads
    )
    measured = speed(470 * min(6, threads or 6))
    assert auto.choose(measured, Machine(6, 0), config, None, None)[0] == workers


def test_a_worker_takes_the_cores_of_its_threads():
    def workers(cores, gpus, learning):
        config = config_of(launch__worker_threads=3)
        return auto.choose(speed(learning), Machine(cores, gpus), config, None, None)[0]

    assert workers(16, 1, 1e6) == 5  # on 15 cores
    assert workers(6, 1, 1e6) == 1
    assert workers(2, 0, 1e6) == 1
    # Six cores learn 2820 frames/s; acting, which takes three to make 950, 1900.
    assert workers(6, 0, 6 * 470) == 2


def test_workers_on_a_gpu_take_turns_with_each_other_and_the_learner():
    def workers(gpus, environments=1e9, **changes):
        config = config_of(launch__worker_gpus=0.01, **changes)
        found = speed(1900, environments=environments)
        return auto.choose(found, Machine(64, gpus), config, None, None)[0]

    # Acting at 950 frames/s and learning at twice that make 633; one does all the acting.
    assert workers(1, launch__learner_gpus=0.5) == 1
    # A worker that steps at 110 frames/s besides makes 98.6.
    assert workers(1, environments=110.0, launch__learner_gpus=0.5) == 7
    assert workers(1, environments=110.0, launch__learner_gpus=0.0) == 10  # 950 in all
    assert workers(2, environments=110.0, launch__learner_gpus=0.5) == 13  # 1267
    # A learner that has a GPU whole leaves the others: 950 frames/s of each.
    assert workers(2, environments=110.0, launch__learner_gpus=1.0) == 10
    assert workers(3, environments=110.0, launch__learner_gpus=1.0) == 20  # as it learns 1900


@pytest.mark.parametrize(("envs", "workers"), [(None, 4), (9, 4), (8, 3)])
def test_no_more_workers_than_there_are_shares_of_a_gpu(envs, workers):
    shares = {"launch__learner_gpus": 0.5, "launch__worker_gpus": 0.125}
    config = config_of(**shares)
    slow = speed(1e6, environments=100.0)
    found, each = auto.choose(slow, Machine(64, 1), config, None, envs)
    assert found == workers and found * each % 6 == 0


def test_stepping_counts_as_acting_does():
    # Half of a worker's time: it does 475 frames/s instead of 950.
    slow = speed(9000, environments=950.0)
    assert auto.choose(slow, Machine(64, 1), config_of(1), None, None)[0] == 19


@pytest.mark.parametrize(("tasks", "wanted"), [(1, 24), (5, 25), (7, 28), (16, 24)])
def test_tasks_share_the_environments_equally(tasks, wanted):
    # Two workers of 24 at least: 48 are a multiple of 16 already, not of 5.
    found = auto.choose(speed(1), Machine(2, 0), config_of(tasks), 2, None)
    assert found == (2, wanted)


@pytest.mark.parametrize(
    ("cores", "envs", "tasks", "workers"),
    [
        (9, 24, 1, 2),  # 48 environments at least
        (9, 30, 4, 2),
        (9, 64, 6, 3),
        (9, 3, 1, 9),  # but no more workers than cores
        (8, 3, 6, 8),
        (9, 3, 6, 8),
        (1, 10, 7, 7),  # unless the tasks could not share their environments otherwise
    ],
)
def test_workers_complete_what_was_given(cores, envs, tasks, workers):
    found = auto.choose(speed(1), Machine(cores, 0), config_of(tasks), None, envs)
    assert found == (workers, envs)


def resolved(monkeypatch, gpus=0, **changes):
    """Return the resolved launch, and with which threads, workers, environments it was measured."""
    asked = []

    def measured(times, function, config, *how):
        asked.append(how)
        return [speed(475)]

    monkeypatch.setattr(auto, "in_processes", measured)
    monkeypatch.setattr(auto, "cpu_count", lambda: 2)
    monkeypatch.setattr(auto.torch.cuda, "device_count", lambda: gpus)
    tree = changed(TMAZE, **{"launch__mode": "ray"} | changes)
    config = resolve_auto(parse_config(tree, [], "test"))
    # What a run folder keeps is what was resolved, and there is nothing left to measure.
    assert parse_config(yaml.safe_load(dump_config(config)), [], "test") == config
    return config.launch, asked


def test_a_config_holds_the_numbers(monkeypatch):
    launch, asked = resolved(monkeypatch, **AUTO)
    assert (launch.workers, launch.envs_per_worker, launch.worker_threads) == (1, 48, 1)
    assert asked == [(1, None, None)]
    assert launch.learner_threads == 1  # what else the section says stays

    launch, asked = resolved(monkeypatch, launch__envs_per_worker="auto")
    assert (launch.workers, launch.envs_per_worker, launch.worker_threads) == (2, 24, None)
    assert asked == [(resources.cpu_count() // 2 or 1, 2, None)]

    launch, asked = resolved(monkeypatch, launch__workers="auto", launch__worker_threads=3)
    assert (launch.workers, launch.envs_per_worker, launch.worker_threads) == (1, 3, 3)
    assert asked == [(3, None, 3)]


def test_nothing_is_measured_without_auto(monkeypatch):
    assert resolved(monkeypatch)[1] == []


def test_in_one_process_workers_would_only_take_turns(monkeypatch):
    local = {"launch__mode": "local"}
    launch, asked = resolved(monkeypatch, **AUTO, **local, launch__learner_threads=5)
    assert (launch.mode, launch.workers, launch.envs_per_worker) == ("local", 1, 48)
    assert asked == [(5, 1, None)]  # there the learner's threads are for all
    assert launch.worker_threads is None


def test_in_one_process_there_is_nothing_to_measure_for_workers(monkeypatch):
    local = {"launch__mode": "local", "launch__workers": "auto", "envs__tasks": GAMES[:6]}
    for each, workers in [(6, 1), (4, 3), (5, 6)]:
        launch, asked = resolved(monkeypatch, **local, launch__envs_per_worker=each)
        assert (launch.workers, launch.envs_per_worker) == (workers, each)
        assert asked == []


def test_only_acting_is_measured_where_the_workers_are_known(monkeypatch):
    monkeypatch.setattr(auto, "learning_rate", None)
    monkeypatch.setattr(auto, "environments_rate", None)
    monkeypatch.setattr(auto, "acting_rate", lambda config, _: config.launch.envs_per_worker)
    monkeypatch.setattr(auto.torch, "set_num_threads", lambda _: None)
    found = auto._measure(config_of(launch__workers=2), 1, 2, None)
    assert found.acting == {12: 12, 24: 24, 48: 48, 96: 96}
    assert auto.choose(found, Machine(2, 0), config_of(), 2, None) == (2, 96)


def test_what_is_wrong_is_told_before_anything_is_measured(monkeypatch):
    for change, line in [
        ({"learner__batch_size": 0}, "learner.batch_size"),
        ({"envs__tasks": ["nope"]}, "unknown task 'nope'"),
        ({"launch__mode": "ray", "launch__address": "auto"}, "launch.envs_per_worker: auto"),
    ]:
        with pytest.raises(UserError, match=line):
            parse_config(changed(TMAZE, **AUTO, **change), [], "test")
    monkeypatch.setattr(auto, "in_processes", None)
    with pytest.raises(UserError, match=r"3 workers x launch\.worker_gpus 0\.2 do not fit"):
        shares = {"launch__worker_gpus": 0.2, "launch__learner_gpus": 0.5}
        resolved(monkeypatch, gpus=1, launch__envs_per_worker="auto", launch__workers=3, **shares)


def test_commands_check_all_else_before_they_measure(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(auto, "in_processes", None)
    both = ["launch.workers=auto", "launch.envs_per_worker=auto"]
    config = str(write_config(tmp_path / "c.yaml", TMAZE))
    run = train(tmp_path, TMAZE, "old")
    images = "agent.encoder=impala"  # a T-maze has none
    for command, line in [
        (["train", config, *both, images], "impala"),
        (["train", config, *both, f"run_dir={run}"], "already holds a run"),
        (["train", config, *both, f"run_dir={config}/run"], "cannot be written"),
        (["train", config, *both, f"run_dir={300 * 'a'}"], "File name too long"),
        (["bench", "e2e", config, *both, images], "impala"),
        (["bench", "learner", config, *both, images], "impala"),
        (["doctor", config, *both, images], "impala"),
    ]:
        assert main(*command) == 2
        *_, last = capsys.readouterr().err.splitlines()
        assert last.startswith("srwm: ") and line in last
    with monkeypatch.context() as missing:
        missing.setattr(envs, "import_procgen", lambda: import_module("no_procgen"))
        assert main("train", "quickstart", *both, "run_dir=new") == 2
        line = "envs.tasks: ProcGen does not run here (No module named 'no_procgen')"
        assert line in capsys.readouterr().err
    lacking = Finding("ProcGen", "none", "install it", needed=True)
    monkeypatch.setattr(doctor, "examine", lambda: [lacking])
    assert main("doctor", config, *both) == 1
    assert "ProcGen: nothing runs without" in capsys.readouterr().err
    for frames in checkpoints(run):
        damage(checkpoint(run, frames))
    assert main("train", "--resume", str(run), *both) == 2
    assert "has no checkpoint that can be read" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_starts_with_what_was_measured(tmp_path):
    config = write_config(tmp_path / "c.yaml", changed(TMAZE, **AUTO))
    assert main("train", str(config), "run_dir=run") == 0
    launch = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["launch"]
    assert launch["workers"] == 1
    assert launch["envs_per_worker"] in (48, 96)


@pytest.mark.slow
def test_what_cannot_be_learnt_is_one_line(tmp_path, capsys):
    tree = changed(TMAZE, **AUTO, launch__mode="ray", learner__value_cost=1e39)
    assert main("train", str(write_config(tmp_path / "c.yaml", tree))) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("srwm: no update could be measured: ")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_process_that_dies_while_it_measures_is_told():
    with pytest.raises(RunError, match="the process that measured died"):
        in_processes(2, die)


@pytest.mark.slow
def test_measuring_ends_with_the_program(tmp_path):
    script = (
        "import time; from launch.machine.parts import in_processes; "
        "in_processes(1, time.sleep, 600)"
    )
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
