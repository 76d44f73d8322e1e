"""What a run keeps, and what a resumed one makes of it."""

import itertools
import logging
import shutil
import signal

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from launch.config.source import parse_config, read_yaml
from launch.run.dashboard import Dashboard
from learners import Learner
from learners import checkpoint as store
from tests.launch.runs import (
    TMAZE,
    assert_same_checkpoint,
    changed,
    checkpoint,
    checkpoints,
    copy_run,
    damage,
    main,
    rows,
    train,
    without_clock,
    write_config,
)


@pytest.fixture
def run(trained_tmaze, tmp_path):
    """A finished run with checkpoints at 100, 200, 300 and 400 frames, free to be changed."""
    return copy_run(trained_tmaze, tmp_path / "run")


@pytest.mark.parametrize("keep", [1, 3])
def test_only_the_newest_checkpoints_are_kept(keep, tmp_path):
    config = changed(TMAZE, checkpoint__keep=keep, run_dir="kept")
    assert main("train", str(write_config(tmp_path / "c.yaml", config))) == 0
    assert checkpoints(tmp_path / "kept") == [100, 200, 300, 400][-keep:]


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(run, trained_tmaze, caplog):
    damage(checkpoint(run, 400))
    with caplog.at_level(logging.INFO):
        assert main("train", "--resume", str(run)) == 0
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert str(checkpoint(run, 400)) in warning
    assert "damaged" in warning
    assert str(checkpoint(run, 300)) in caplog.text
    # What was damaged has been made again.
    assert store.load(checkpoint(run, 400))["learner"]["frames"] == 400
    assert without_clock(rows(run)) == without_clock(rows(trained_tmaze))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_row_is_written_ends_in_a_checkpoint(number, tmp_path, monkeypatch):
    write = Dashboard.write

    def interrupted(dashboard, row):
        write(dashboard, row)
        if row["frames"] == 120:  # a row that no checkpoint was to follow
            signal.raise_signal(number)

    monkeypatch.setattr(Dashboard, "write", interrupted)
    config = write_config(tmp_path / "c.yaml", {**TMAZE, "run_dir": "run"})
    assert main("train", str(config)) == 0
    assert checkpoints(tmp_path / "run")[-1] == rows(tmp_path / "run")[-1]["frames"] == 120


def test_a_half_written_checkpoint_is_no_checkpoint(run):
    (run / "checkpoints" / ".000000000500.1.tmp").mkdir()
    (checkpoint(run, 400) / "state.json").unlink()
    assert main("train", "--resume", str(run), "total_frames=320") == 0
    assert store.load(checkpoint(run, 320))["learner"]["frames"] == 320


def test_a_finished_run_has_nothing_left_to_do(run, caplog):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main("train", "--resume", str(run), "launch.envs_per_worker=auto") == 0
    assert "nothing to do: the run has its 400 frames" in caplog.text
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_run_from_before_there_was_a_choice_keeps_what_it_was_made_with(tmp_path):
    """Neither its configuration nor its checkpoints have what came later."""
    old = train(tmp_path, changed(TMAZE, agent__srwm__input="softmax"), "old")
    later = {
        "agent": ("policy_scale",),
        "learner": (
            *("optimiser", "schedule", "reduction", "normalise_advantages", "reward_scale"),
            *("vtrace_lambda", "adam_beta1", "adam_beta2", "adam_eps", "bootstrap_time_limits"),
        ),
    }
    tree = read_yaml(old / "config.yaml")
    for section, keys in later.items():
        for key in keys:
            del tree[section][key]
    for key in ("input", "query_scale", "key_scale"):
        del tree["agent"]["srwm"][key]
    write_config(old / "config.yaml", tree)
    for frames in (300, 400):
        damage(checkpoint(old, frames))
    saved = store.load(checkpoint(old, 200))
    del saved["learner"]["schedule"], saved["format"]
    for fields in saved["waiting"]:
        del fields["final_value"]
    shutil.rmtree(checkpoint(old, 200))
    store.save(checkpoint(old, 200), saved)

    assert main("train", "--resume", str(old), "total_frames=800") == 0
    resumed = read_yaml(old / "config.yaml")
    assert resumed["agent"]["srwm"]["input"] == "softmax"
    assert resumed["learner"]["bootstrap_time_limits"] is False
    # At 200 of 400 frames the rate was halved, and from there it falls until 800.
    rates = {row["frames"]: row["learner/learning_rate"] for row in rows(old)}
    assert rates[240] == pytest.approx(3e-4 * (1 - 10 / 600))


def rewrite(folder, **changes):
    """Change keys of a checkpoint; None removes one."""
    tree = {**store.load(folder), **changes}
    shutil.rmtree(folder)
    store.save(folder, {key: value for key, value in tree.items() if value is not None})


@pytest.mark.parametrize("command", ["eval", "trace", "train"])
@pytest.mark.parametrize("number", [0, 4, "3"])
def test_another_format_is_refused_in_one_line(number, command, run, capsys):
    """It is not passed over as a damaged one is: what it holds would be lost."""
    rewrite(checkpoint(run, 400), format=number)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    rest = {
        "eval": [str(run)],
        "trace": [str(run), "--task", TMAZE["envs"]["tasks"][0], "--out", "a.png"],
        "train": ["--resume", str(run), "total_frames=600"],
    }
    capsys.readouterr()
    assert main(command, *rest[command]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("srwm: ")
    assert str(checkpoint(run, 400)) in line
    assert f"has checkpoint format {number!r}, but this version reads formats 1 to 3" in line
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("key", ["learner", "metrics", "config"])
def test_what_is_not_the_checkpoint_of_a_run_is_refused_in_one_line(key, run, capsys):
    rewrite(checkpoint(run, 400), **{key: None})
    assert main("train", "--resume", str(run), "total_frames=600") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("srwm: ")
    assert f"is not the checkpoint of a run: '{key}' is missing" in line


@pytest.mark.parametrize("number", [None, 2])
def test_a_checkpoint_of_an_older_format_goes_on_as_one_of_this(number, run, trained_tmaze):
    """Format 1 has no number; in neither were truncated episodes told apart. A TMaze has none."""
    saved = store.load(checkpoint(run, 200))
    assert saved["format"] == 3
    assert saved["waiting"]
    for fields in saved["waiting"]:
        del fields["final_value"]
    rewrite(checkpoint(run, 200), format=number, waiting=saved["waiting"])
    for frames in (300, 400):
        shutil.rmtree(checkpoint(run, frames))
    assert main("train", "--resume", str(run)) == 0
    assert without_clock(rows(run)) == without_clock(rows(trained_tmaze))
    assert_same_checkpoint(run, trained_tmaze, 400)


@pytest.mark.parametrize("key", ["learner.optimiser=adam", "agent.srwm.input=none"])
def test_what_would_make_it_another_run_is_refused(key, run, capsys):
    assert main("train", "--resume", str(run), key, "total_frames=500") == 2
    assert capsys.readouterr().err.startswith(f"srwm: {key.split('=')[0]}: cannot change")


def test_an_interrupted_run_with_more_frames_does_not_jump(run):
    """It goes on from 200 of 400 frames, at half the rate, which now falls until 800."""
    for frames in (300, 400):
        damage(checkpoint(run, frames))
    assert main("train", "--resume", str(run), "total_frames=800") == 0
    rates = {row["frames"]: row["learner/learning_rate"] for row in rows(run)}
    # A row is the mean over its two updates, which began 20 and 40 frames before its end.
    assert rates[240] == pytest.approx(3e-4 * (1 - 10 / 600))
    assert rates[600] == pytest.approx(3e-4 * (1 - 370 / 600))


def test_a_finished_run_goes_on_to_more_frames(run):
    lines = rows(run)
    assert main("train", "--resume", str(run), "total_frames=600") == 0
    after = rows(run)
    assert after[: len(lines)] == lines
    assert [row["frames"] for row in after[len(lines) :]] == [440, 480, 520, 560, 600]
    assert checkpoints(run)[-1] == 600
    # Frames, versions, episodes and the wall clock all count on.
    for name in ("frames", "updates", "time/elapsed"):
        values = [row[name] for row in after]
        assert values == sorted(values)
    assert after[-1]["updates"] == 30
    task = TMAZE["envs"]["tasks"][0]
    # A TMaze's episodes have 9 steps; 600 frames and a rollout or two in the queue.
    assert 600 // 9 - 6 <= after[-1][f"episodes/{task}"] <= (600 + 2 * 15) // 9
    # The schedule is that of 600 frames now: this row's updates began at 400 and 420.
    rate = after[len(lines)]["learner/learning_rate"]
    assert rate == pytest.approx(6e-4 * (1 - 410 / 600))
    assert parse_config(read_yaml(run / "config.yaml"), [], "test").total_frames == 600


def test_a_resumed_run_draws_nothing_twice(run, trained_tmaze):
    """It goes back to 200 of 400 frames; what came after is made again, and set aside."""
    superseded = rows(run)[5:]
    for frames in (300, 400):
        (checkpoint(run, frames) / "SHA256SUMS").unlink()
    assert main("train", "--resume", str(run)) == 0
    assert without_clock(rows(run)) == without_clock(rows(trained_tmaze))
    aside = (run / "metrics.superseded-0.jsonl").read_text().splitlines()
    assert len(aside) == len(superseded) == 5

    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        steps = [event.step for event in events.Scalars(tag)]
        assert all(a < b for a, b in itertools.pairwise(steps)), tag
    found = [(event.step, event.value) for event in events.Scalars("loss/total")]
    assert found == [(row["frames"], pytest.approx(row["loss/total"])) for row in rows(run)]


def test_a_run_that_was_moved_is_resumed_where_it_is(run, trained_tmaze, tmp_path):
    there = {path: path.stat().st_mtime_ns for path in trained_tmaze.rglob("*")}
    moved = run.rename(tmp_path / "moved")
    assert main("train", "--resume", str(moved), "total_frames=440") == 0
    assert checkpoints(moved)[-1] == 440
    assert {path: path.stat().st_mtime_ns for path in trained_tmaze.rglob("*")} == there


def test_workers_of_another_number_begin_new_episodes(run, caplog):
    overrides = ["launch.workers=1", "launch.envs_per_worker=2", "total_frames=440"]
    assert main("train", "--resume", str(run), *overrides) == 0
    assert "new episodes begin" in caplog.text
    assert rows(run)[-1]["frames"] == 440


def test_a_run_that_diverges_ends_in_one_line_and_keeps_its_checkpoints(
    tmp_path, monkeypatch, capsys
):
    good = Learner._loss

    def loss(self, batch):
        total, metrics = good(self, batch)
        return (total * float("nan") if self.frames >= 300 else total), metrics

    monkeypatch.setattr(Learner, "_loss", loss)
    config = changed(TMAZE, learner__max_skipped=3, run_dir="diverged")
    assert main("train", str(write_config(tmp_path / "c.yaml", config))) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("srwm: ")]
    assert "3 batches" in line
    assert "diverged" in line
    assert checkpoints(tmp_path / "diverged") == [100, 200, 300]
