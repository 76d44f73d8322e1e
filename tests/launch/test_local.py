"""Local mode: the same seed is the same run, also through an interruption."""

import json

import pytest
import torch
from safetensors.torch import load_file

from agents.cores import CORES
from tests.launch.runs import (
    PROCGEN,
    TMAZE,
    changed,
    checkpoint,
    checkpoints,
    copy_run,
    main,
    rows,
    without_clock,
    write_config,
)


def train(folder, tree, name):
    run = folder / name
    config = write_config(folder / f"{name}.yaml", {**tree, "run_dir": str(run)})
    assert main("train", str(config)) == 0
    return run


def tensors(run, frames):
    return load_file(checkpoint(run, frames) / "tensors.safetensors")


def plain_values(run, frames):
    tree = json.loads((checkpoint(run, frames) / "state.json").read_text())
    del tree["metrics"]["elapsed"]  # wall clock
    del tree["config"]["run_dir"]
    return tree


def assert_same_checkpoint(one, other, frames):
    """Learner, optimiser, environments, waiting rollouts, counters: bit for bit."""
    ours, theirs = tensors(one, frames), tensors(other, frames)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    assert plain_values(one, frames) == plain_values(other, frames)


def assert_resumes_as_uninterrupted(run, to, middle, last):
    # There is something to go wrong: pieces of rollouts wait for their batch.
    assert plain_values(run, middle)["waiting"]
    resumed = copy_run(run, to, until=middle)
    assert checkpoints(resumed)[-1] == middle
    assert main("train", "--resume", str(resumed)) == 0
    assert checkpoints(resumed) == checkpoints(run)
    assert without_clock(rows(resumed)) == without_clock(rows(run))
    assert_same_checkpoint(run, resumed, last)


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


@pytest.mark.parametrize("core", [*CORES])
def test_a_resumed_run_is_the_uninterrupted_one(core, tmp_path):
    run = train(tmp_path, changed(TMAZE, agent__core=core), "run")
    assert plain_values(run, 100)["turn"] == 1  # the second worker is next
    assert_resumes_as_uninterrupted(run, tmp_path / "resumed", middle=100, last=400)


def test_a_resumed_run_is_the_uninterrupted_one_with_procgen(trained_procgen, tmp_path):
    last = PROCGEN["total_frames"]
    assert_resumes_as_uninterrupted(trained_procgen, tmp_path / "resumed", middle=75, last=last)


def test_the_same_seed_is_the_same_run_with_procgen(trained_procgen, tmp_path):
    again = train(tmp_path, PROCGEN, "again")
    assert without_clock(rows(again)) == without_clock(rows(trained_procgen))
    assert_same_checkpoint(trained_procgen, again, PROCGEN["total_frames"])
