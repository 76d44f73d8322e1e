"""The driver with a flow whose learner fails when a test says so."""

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from envs import Episode
from launch.config.source import parse_config
from launch.driver import drive
from launch.errors import RunError
from launch.flow.base import FlowState, RolloutInfo, Trial, UpdateReport
from launch.flow.build import build_agent
from launch.job import policy_job
from launch.run.folder import RunFolder
from learners import NonfiniteUpdate, TrainingDivergedError
from learners import checkpoint as store
from tests.launch.runs import TMAZE, changed, checkpoint, checkpoints, rows

(TASK,) = TMAZE["envs"]["tasks"]
BATCH = 20


def state(frames, version=None):
    return {"frames": frames, "version": frames // BATCH if version is None else version}


class Flow:
    """Learns 20 frames an update, and ends an episode with each.

    Args:
        kept: the frames at which the newest state is kept.
        falls: after an update to these frames, the learner goes back to the newest state.
        saves: what is asked to save dies at these frames, and goes back.
        ends: the update to these frames ends the run.
    """

    def __init__(self, kept=(), falls=(), saves=(), ends=None):
        self.kept, self.falls, self.saves, self.ends = kept, [*falls], [*saves], ends
        self.frames = self.version = 0
        self.state = state(0)

    def update(self):
        if self.frames in self.falls:
            self.falls.remove(self.frames)
            self.back()
        self.frames, self.version = self.frames + BATCH, self.version + 1
        if self.frames == self.ends:
            raise RunError("task maze: no worker is left")
        if self.frames in self.kept:
            self.state = state(self.frames, self.version)
        episode = Episode(env=0, task=TASK, ret=float(self.frames), length=9)
        return UpdateReport(
            self.frames, self.version, {"loss/total": 1.0}, [RolloutInfo(4, [episode], 1.0)], 0.0
        )

    def back(self):
        self.frames = self.state["frames"]

    def newest(self):
        return FlowState(self.state)

    def save(self):
        if self.frames in self.saves:
            self.saves.remove(self.frames)
            self.back()
            return self.newest()
        return FlowState(state(self.frames, self.version))

    def close(self):
        pass


@pytest.fixture
def train(tmp_path):
    def train(flow, **changes):
        tree = changed(TMAZE, total_frames=200, log_every_frames=20, **changes)
        config = parse_config(tree, [], "test")
        run = RunFolder(tmp_path / "run")
        run.create(config)
        job = replace(policy_job(config, build_agent(config)), start=lambda _: flow)
        drive(job, run, Console(quiet=True))
        return run.path

    return train


def frames_and_episodes(run):
    return [(row["frames"], row[f"episodes/{TASK}"]) for row in rows(run)]


def test_counters_go_back_with_the_learner_and_count_nothing_twice(train):
    run = train(Flow(kept=[60, 140], falls=[120]), checkpoint__every_frames=10**6)
    assert frames_and_episodes(run) == [(20 * n, n) for n in range(1, 11)]
    versions = [row["updates"] for row in rows(run)]
    assert versions == [1, 2, 3, *range(7, 14)]  # those of three updates are void
    superseded = (run / "metrics.superseded-0.jsonl").read_text().splitlines()
    assert len(superseded) == 3
    tree = store.load(checkpoint(run, 200))
    # The last returns are those of the updates that count.
    assert tree["metrics"]["returns"][TASK] == [20.0 * n for n in range(1, 11)]


def test_a_learner_that_goes_back_by_one_update_is_noticed(train):
    run = train(Flow(kept=[80], falls=[100]))
    assert frames_and_episodes(run) == [(20 * n, n) for n in range(1, 11)]


def test_a_learner_that_dies_before_a_state_is_kept_begins_anew(train):
    run = train(Flow(falls=[60]))
    assert frames_and_episodes(run) == [(20 * n, n) for n in range(1, 11)]


def test_a_learner_that_dies_at_the_last_checkpoint_learns_to_the_end(train):
    run = train(Flow(kept=[100], saves=[200]), checkpoint__every_frames=10**6)
    assert checkpoints(run) == [100, 200]
    # What is saved of the older state is what was counted when it was the newest.
    assert store.load(checkpoint(run, 100))["metrics"]["episodes"][TASK] == 5
    assert frames_and_episodes(run)[-1] == (200, 10)
    assert len(rows(run)) == 10


def test_an_error_saves_the_newest_state_and_says_how_to_go_on(train, tmp_path):
    with pytest.raises(RunError, match=r"no worker is left; continue it with: srwm train --resume"):
        train(Flow(kept=[140], ends=180), checkpoint__every_frames=100)
    assert checkpoints(tmp_path / "run") == [100, 140]
    tree = store.load(checkpoint(tmp_path / "run", 140))
    assert tree["metrics"]["episodes"][TASK] == 7


def test_an_error_does_not_save_what_is_older_than_the_last_checkpoint(train, tmp_path):
    with pytest.raises(RunError):
        train(Flow(kept=[60], ends=180), checkpoint__every_frames=100)
    assert checkpoints(tmp_path / "run") == [100]


class Diverging(Flow):
    """Ends for a batch that is not finite; the reward stands for it."""

    def __init__(self, reward=np.nan):
        super().__init__()
        self.reward = reward

    def update(self):
        if self.frames == 60:
            raise TrainingDivergedError("the last 10 batches had a non-finite loss")
        return super().update()

    def nonfinite(self):
        return [NonfiniteUpdate({"version": self.version}, {"reward": np.full(2, self.reward)})]


def test_a_run_that_diverges_saves_its_last_batch_and_names_the_command(train, tmp_path):
    run = tmp_path / "run"
    folder = run / "nonfinite/000000000003"
    for reward in (np.nan, np.inf):  # a run that is continued may end so at the same version
        with pytest.raises(RunError, match=f"10 batches .*with: srwm replay {folder}$"):
            train(Diverging(reward), run_dir=str(run))
        tree = store.load(folder)
        assert tree["config"]["run_dir"] == str(run)
        assert tree["state"] == {"version": 3}
        np.testing.assert_array_equal(tree["shares"][0]["reward"], [reward] * 2)
        (run / "config.yaml").unlink()


def test_only_the_newest_such_batches_are_kept(train, tmp_path):
    root = tmp_path / "run/nonfinite"
    for version in (1, 2, 10):
        (root / f"{version:012d}").mkdir(parents=True)
    with pytest.raises(RunError):
        train(Diverging(), run_dir=str(tmp_path / "run"))
    assert sorted(int(folder.name) for folder in root.iterdir()) == [2, 3, 10]


def test_a_batch_that_cannot_be_saved_does_not_hide_why_the_run_ended(train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/nonfinite").touch()
    with pytest.raises(RunError, match=r"10 batches .* the batch could not be saved"):
        train(Diverging(), run_dir=str(tmp_path / "run"))


def test_a_disk_that_is_full_when_the_best_is_saved_does_not_end_the_run(
    train, tmp_path, monkeypatch, caplog
):
    class Scored(Flow):
        def update(self):
            return super().update()._replace(trial=Trial(float(self.frames), {}))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "save_best", full)
    run = train(Scored())
    assert "no best checkpoint: No space left on device" in caplog.text
    assert checkpoints(run)[-1] == 200
