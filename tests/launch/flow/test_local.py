"""Local mode: the same seed is the same run, also through an interruption."""

import pytest

from launch.config.source import read_yaml
from tests.launch.runs import (
    PROCGEN,
    TMAZE,
    assert_resumes_as_uninterrupted,
    assert_same_checkpoint,
    checkpoints,
    copy_run,
    main,
    rows,
    train,
    without_clock,
)


def test_the_same_seed_is_the_same_run(trained_tmaze, tmp_path):
    again = train(tmp_path, TMAZE, "again")
    assert without_clock(rows(again)) == without_clock(rows(trained_tmaze))
    assert_same_checkpoint(trained_tmaze, again, TMAZE["total_frames"])


def test_another_seed_is_another_run(trained_tmaze, tmp_path):
    other = train(tmp_path, {**TMAZE, "seed": 1}, "other")
    ours, theirs = rows(trained_tmaze)[0], rows(other)[0]
    assert ours["frames"] == theirs["frames"]
    assert ours["loss/total"] != theirs["loss/total"]


def test_rows_come_at_the_distance_asked_for_and_checkpoints_close_one(trained_tmaze):
    frames = [row["frames"] for row in rows(trained_tmaze)]
    assert frames == [40, 80, 100, 140, 180, 200, 240, 280, 300, 340, 380, 400]
    assert checkpoints(trained_tmaze) == [100, 200, 300, 400]


def test_the_learning_rate_falls_in_a_line(trained_tmaze):
    for row in rows(trained_tmaze)[:2]:  # two updates of 20 frames each
        begun = [row["frames"] - 40, row["frames"] - 20]
        wanted = sum(6e-4 * (1 - frames / 400) for frames in begun) / 2
        assert row["learner/learning_rate"] == pytest.approx(wanted)


def test_a_resumed_run_is_the_uninterrupted_one_with_procgen(trained_procgen, tmp_path):
    last = PROCGEN["total_frames"]
    assert_resumes_as_uninterrupted(trained_procgen, tmp_path / "resumed", middle=75, last=last)


def test_a_resumed_run_may_step_its_games_in_threads(trained_procgen, tmp_path):
    """Two halves with a thread each, from what one whole without threads has saved."""
    resumed = copy_run(trained_procgen, tmp_path / "resumed", until=75)
    assert main("train", "--resume", str(resumed), "envs.threads=1") == 0
    assert rows(resumed)[-1]["frames"] == PROCGEN["total_frames"]
    assert read_yaml(resumed / "config.yaml")["envs"]["threads"] == 1


def test_the_same_seed_is_the_same_run_with_procgen(trained_procgen, tmp_path):
    again = train(tmp_path, PROCGEN, "again")
    assert without_clock(rows(again)) == without_clock(rows(trained_procgen))
    assert_same_checkpoint(trained_procgen, again, PROCGEN["total_frames"])
