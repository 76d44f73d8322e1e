"""Runs in Ray, as a person starts and stops them: real processes, real signals."""

import os
import signal
from statistics import median

import pytest

from learners import checkpoint as store
from tests.launch.driver import STOP
from tests.launch.runs import (
    PROCGEN,
    TMAZE,
    changed,
    checkpoint,
    checkpoints,
    copy_run,
    main,
    rows,
    write_config,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ENDLESS = 10**9
# A checkpoint holds also the updates that were on their way when it was asked for: two of 4 x 5.
AHEAD = 40
RAY = changed(
    TMAZE, launch__mode="ray", log_every_frames=100, checkpoint__every_frames=500, run_dir="run"
)


@pytest.fixture
def endless(start, tmp_path):
    """A run in the middle of its work: some rows and a checkpoint are there."""
    config = write_config(tmp_path / "c.yaml", {**RAY, "total_frames": ENDLESS})
    driver = start("train", str(config))
    driver.wait_until(lambda: driver.frames() >= 1000)
    assert len(driver.workers()) == 2
    return driver


def assert_saved_and_resumes(run):
    """What was learnt is saved, and the run goes on from there, also without Ray.

    A stop does not cut the row that is being collected.
    """
    newest = checkpoints(run)[-1]
    frames = [row["frames"] for row in rows(run)]
    assert frames[-1] <= newest < frames[-1] + RAY["log_every_frames"] + AHEAD
    assert frames == sorted(set(frames))
    more = newest + 100
    overrides = ["launch.mode=local", f"total_frames={more}"]
    assert main("train", "--resume", str(run), *overrides) == 0
    assert [row["frames"] for row in rows(run)][: len(frames)] == frames
    assert rows(run)[-1]["frames"] == more


def test_held_out_levels_are_played_while_the_run_goes_on(start, tmp_path):
    tree = changed(PROCGEN, total_frames=ENDLESS, run_dir="run", launch__mode="ray")
    tree = changed(tree, held_out__every_frames=100, held_out__episodes=1)
    driver = start("train", str(write_config(tmp_path / "c.yaml", tree)))
    driver.wait_until(
        lambda: (
            driver.frames() > 0
            and any("held_out_normalised/gap" in row for row in rows(driver.run))
        )
    )
    driver.process.send_signal(signal.SIGTERM)
    assert driver.ends() == 0, driver.text()
    assert driver.leaves_nothing()
    assert len(checkpoints(driver.run, "best")) == 1


def test_a_run_finishes_saves_and_leaves_no_process(start, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # it starts its own cluster all the same
    config = write_config(tmp_path / "c.yaml", {**RAY, "total_frames": 2000})
    driver = start("train", str(config))
    assert driver.ends() == 0, driver.text()
    assert len(driver.family) > 3
    assert driver.leaves_nothing()
    assert rows(driver.run)[-1]["frames"] == 2000
    assert rows(driver.run)[-1]["updates"] == 100
    saved = checkpoints(driver.run)
    assert len(saved) == 4
    for frames, due in zip(saved, (500, 1000, 1500, 2000), strict=True):
        assert due <= frames <= due + AHEAD
    assert saved[-1] == 2000
    task = TMAZE["envs"]["tasks"][0]
    assert rows(driver.run)[-1][f"length/{task}"] == 9
    assert "Traceback" not in driver.text()
    assert "UserWarning" not in driver.text()
    assert str(driver.run.name) in driver.text()
    assert_saved_and_resumes(driver.run)


@pytest.mark.parametrize(
    ("send", "number"),
    [(os.kill, signal.SIGINT), (os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)],
    ids=["INT", "TERM", "ctrl-c"],
)
def test_a_signal_saves_and_ends_the_run(send, number, endless):
    send(endless.process.pid, number)
    assert endless.ends(STOP) == 0, endless.text()
    assert endless.leaves_nothing()
    assert "Traceback" not in endless.text()
    assert number.name in endless.text()
    assert_saved_and_resumes(endless.run)


def test_a_dead_worker_is_replaced_and_the_run_goes_on(endless):
    before = endless.workers()
    victim = before[0]
    victim.kill()
    endless.wait_until(lambda: "died" in endless.text())
    then = endless.frames()
    endless.wait_until(
        lambda: len(endless.workers()) == 2 and endless.frames() > then + 500, seconds=60
    )
    assert victim not in endless.workers()
    os.kill(endless.process.pid, signal.SIGTERM)
    assert endless.ends(STOP) == 0, endless.text()
    assert endless.leaves_nothing()


def test_nothing_outlives_a_killed_driver(endless):
    newest = checkpoints(endless.run)[-1]
    endless.process.kill()
    endless.process.wait()
    # Two helpers of Ray, which do nothing, try for a minute to tell of the end.
    assert endless.leaves_nothing(but=("ray::DashboardAgent", "ray::RuntimeEnvAgent"))
    assert endless.leaves_nothing(seconds=90)
    assert store.load(checkpoint(endless.run, newest))["learner"]["frames"] == newest
    more = checkpoints(endless.run)[-1] + 100
    overrides = ["launch.mode=local", f"total_frames={more}"]
    assert main("train", "--resume", str(endless.run), *overrides) == 0


def test_a_local_run_goes_on_in_ray(start, tmp_path, trained_tmaze):
    run = copy_run(trained_tmaze, tmp_path / "run")
    lines = rows(run)
    driver = start("train", "--resume", "run", "launch.mode=ray", "total_frames=600")
    assert driver.ends() == 0, driver.text()
    assert driver.leaves_nothing()
    assert rows(run)[: len(lines)] == lines
    assert rows(run)[-1]["frames"] == 600
    assert rows(run)[-1]["updates"] == 30
    assert_saved_and_resumes(run)


def test_two_games_train_in_ray(start, tmp_path):
    tree = changed(RAY, envs__tasks=["bigfish", "maze"], agent__encoder="impala_small")
    tree = changed(tree, total_frames=400, launch__envs_per_worker=4)
    driver = start("train", str(write_config(tmp_path / "c.yaml", tree)))
    assert driver.ends() == 0, driver.text()
    assert driver.leaves_nothing()
    assert rows(driver.run)[-1]["frames"] == 400


def test_two_learners_train_save_and_resume(start, tmp_path):
    tree = changed(RAY, total_frames=1000, learner__devices=2)
    driver = start("train", str(write_config(tmp_path / "c.yaml", tree)))
    driver.wait_until(lambda: len(driver.learners()) == 2)
    assert driver.ends() == 0, driver.text()
    assert driver.leaves_nothing()
    assert rows(driver.run)[-1]["frames"] == 1000
    assert rows(driver.run)[-1]["updates"] == 50
    again = start("train", "--resume", "run", "total_frames=1500")
    assert again.ends() == 0, again.text()
    assert again.leaves_nothing()
    assert rows(driver.run)[-1]["frames"] == 1500
    # One learner goes on with what two have learnt.
    overrides = ["learner.devices=1", "launch.mode=local", "total_frames=1600"]
    assert main("train", "--resume", str(driver.run), *overrides) == 0
    assert rows(driver.run)[-1]["updates"] == 80


def test_a_dead_learner_of_two_is_replaced_with_the_other(start, tmp_path):
    tree = changed(RAY, total_frames=ENDLESS, learner__devices=2)
    driver = start("train", str(write_config(tmp_path / "c.yaml", tree)))
    driver.wait_until(lambda: driver.frames() >= 1000)
    before = driver.learners()
    assert len(before) == 2
    max(before, key=lambda process: process.create_time()).kill()
    # The rows of before are set aside if no state was kept yet.
    restarted = {"faults/learner_restarts": 1}.items()
    driver.wait_until(lambda: any(restarted <= row.items() for row in rows(driver.run)))
    assert len(driver.learners()) == 2
    assert not set(before) & set(driver.learners())
    os.kill(driver.process.pid, signal.SIGTERM)
    assert driver.ends(STOP) == 0, driver.text()
    assert driver.leaves_nothing()
    assert "Traceback" not in driver.text()


def test_workers_pause_while_the_learner_is_behind(start, tmp_path):
    """A rollout is many batches here, so that two workers collect far more than is learnt."""
    queue, batch, workers, envs = 2, 4, 2, 32
    tree = changed(
        RAY,
        total_frames=8000,
        log_every_frames=1,  # a row for every update
        learner__unroll_length=20,
        learner__batch_size=batch,
        launch__workers=workers,
        launch__envs_per_worker=envs,
        launch__queue_batches=queue,
        checkpoint__every_frames=ENDLESS,
    )
    driver = start("train", str(write_config(tmp_path / "c.yaml", tree)))
    assert driver.ends() == 0, driver.text()
    assert driver.leaves_nothing()
    depths = [row["queue/depth"] for row in rows(driver.run)]
    assert len(depths) == 100
    assert max(depths) <= (queue * batch + workers * envs) / batch
    assert max(depths) > queue  # the learner did fall behind
    # Nothing that was acted long ago: no more lag than what may be in flight. (Of most batches: a
    # worker that the machine leaves waiting in the middle of a rollout is passed by the other.)
    in_flight = (queue * batch + 2 * workers * envs) / batch + 4
    assert median(row["policy/lag"] for row in rows(driver.run)) <= in_flight
