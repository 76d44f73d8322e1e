"""Local mode: the same seed is the same run, also through an interruption."""

import pytest
from torch import nn

from agents import FEATURES
from agents.encoders import ENCODERS
from launch.config.source import parse_config, read_yaml
from launch.flow.local import LocalFlow
from tests.launch.runs import (
    PROCGEN,
    TMAZE,
    assert_resumes_as_uninterrupted,
    assert_same_checkpoint,
    changed,
    checkpoints,
    copy_run,
    main,
    rows,
    tensors,
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


def test_rows_come_at_the_distance_asked_for_and_checkpoints_do_not_cut_them(trained_tmaze):
    frames = [row["frames"] for row in rows(trained_tmaze)]
    assert frames == [*range(40, 401, 40)]
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


def normalised(observation_shape):
    (size,) = observation_shape
    return nn.Sequential(nn.Linear(size, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU())


@pytest.fixture
def with_batch_norm(monkeypatch):
    """Return the configuration of a run whose encoder has buffers."""
    monkeypatch.setitem(ENCODERS._parts, "normalised", normalised)
    return changed(TMAZE, agent__encoder="normalised", total_frames=200)


def test_a_network_with_batch_norm_is_trained_resumed_and_evaluated(with_batch_norm, tmp_path):
    run = train(tmp_path, with_batch_norm, "run")
    saved = tensors(run, 200)
    assert saved["/learner/agent/encoder.1.num_batches_tracked"] == 10  # updates of 20 frames
    assert (saved["/learner/agent/encoder.1.running_var"] != 1).all()
    assert_resumes_as_uninterrupted(run, tmp_path / "resumed", middle=100, last=200)
    assert main("eval", str(run), "--episodes", "2") == 0


def test_the_buffers_that_the_learner_has_reach_the_workers(with_batch_norm):
    flow = LocalFlow(parse_config(with_batch_norm, [], "test"))
    flow.update()
    weights = flow.learner.weights().state_dict
    flow.update()
    acted = {worker.version: worker.agent.state_dict() for worker in flow.workers}
    assert weights["encoder.1.num_batches_tracked"] == 1
    for name, array in weights.items():
        assert (acted[1][name].numpy() == array).all(), name
    flow.close()
