"""A run that ends for losses or gradients that are not finite, and the replay of its last batch."""

import re
from pathlib import Path

import pytest
import torch

from learners import Learner, checkpoint
from learners.supervised import SupervisedLearner
from tests.envs.fewshot import tiny
from tests.launch.runs import TMAZE, changed, damage, main, write_config

NAN, INF = float("nan"), float("inf")
POLICY = changed(TMAZE, learner__max_skipped=1, run_dir="run")
FEWSHOT = {
    "total_frames": 200,
    "run_dir": "run",
    "episodes": {"tasks": [{"name": "folder", "root": "pictures"}], "n_way": 2},
    "classifier": {
        "backbone": {"channels": 32, "dropout": 0.5},
        "srwm": {"hidden_size": 8, "layers": 1, "heads": 2},
    },
    "learner": {"batch_size": 2, "max_skipped": 1},
    "validation": {"every_frames": 10**6, "episodes": 50},
}


@pytest.fixture
def fails(tmp_path, monkeypatch, capsys):
    """Train a run that is poisoned at its third update; return its last line and its folder."""

    def fails(poison, tree=POLICY, learner=Learner):
        step = learner.step

        def poisoned(self, batch):
            if self.version == 2:
                poison(self, batch)
            return step(self, batch)

        with monkeypatch.context() as patch:
            patch.setattr(learner, "step", poisoned)
            command = "train" if tree is POLICY else "fewshot"
            assert main(command, str(write_config(tmp_path / "c.yaml", tree))) == 1
        errors = capsys.readouterr().err.splitlines()
        (line,) = [line for line in errors if line.startswith("srwm: ")]
        (folder,) = (tmp_path / "run/nonfinite").iterdir()
        return line, folder

    return fails


@pytest.fixture
def first(capsys):
    """Replay a folder; return what it says is the first, and that row of its table."""

    def first(folder):
        assert main("replay", str(folder)) == 0
        named, _, row, *_ = capsys.readouterr().out.splitlines()
        return named, re.split(r"\s{2,}", row.strip())

    return first


def test_the_last_line_names_the_folder_and_the_command(fails):
    line, folder = fails(lambda _, batch: batch.reward[3, 0].fill_(NAN))
    assert line.endswith("see what is wrong with: srwm replay run/nonfinite/000000000002")
    assert folder.name == "000000000002"
    assert sorted(file.name for file in folder.iterdir()) == [
        "SHA256SUMS",
        "state.json",
        "tensors.safetensors",
    ]


def test_inputs(fails, first):
    def poison(_, batch):
        batch.reward[3, 2] = INF
        batch.logits[1, 0, 1] = NAN

    _, folder = fails(poison)
    assert first(folder) == ("first: input reward", ["input", "reward", "6 4", "0", "1", "3 2"])


@pytest.mark.parametrize(
    ("part", "row"),
    [
        (lambda batch: batch.obs[2, 1, 0], ["input", "obs", "6 4 4", "1", "0", "2 1 0"]),
        (lambda batch: batch.logits[4, 3, 1], ["input", "logits", "5 4 2", "1", "0", "4 3 1"]),
        (lambda batch: batch.state[0][1, 0, 2, 3], ["input", "state[0]", "4 2 28 8", "1", "0"]),
    ],
)
def test_each_input(fails, first, part, row):
    _, folder = fails(lambda _, batch: part(batch).fill_(NAN))
    assert first(folder)[1][: len(row)] == row


def test_weights(fails, first):
    def poison(learner, _):
        learner.agent.core.memories[0].project.weight.data[5, 1:4] = NAN

    _, folder = fails(poison)
    row = ["weight", "core.memories.0.project.weight", "16 16", "3", "0", "5 1"]
    assert first(folder)[1] == row


def test_a_module_whose_output_overflows(fails, first):
    """The weights are finite, and so is what the module reads."""

    def poison(learner, batch):
        learner.agent.core.inputs.weight.data[7] = 3e38

    _, folder = fails(poison)
    named, row = first(folder)
    assert named == "first: activation output of core.inputs"
    assert row[2] == "6 4 16"
    assert row[-1].endswith(" 7")


def test_a_gradient_where_the_loss_is_finite(fails, first, monkeypatch):
    loss = Learner._loss

    def steep(self, batch):
        total, parts = loss(self, batch)
        # The root of 0 is 0, its derivative infinite.
        return total + (self.agent.value.bias.sum() * 0).sqrt() * (self.version == 2), parts

    monkeypatch.setattr(Learner, "_loss", steep)
    _, folder = fails(lambda *_: None)
    assert first(folder)[1] == ["gradient", "value.bias", "1", "1", "0", "0"]


def test_gradients_that_are_finite_but_not_their_norm(fails, first, monkeypatch):
    loss = Learner._loss

    def steep(self, batch):
        total, parts = loss(self, batch)
        return total * (1e25 if self.version == 2 else 1), parts

    monkeypatch.setattr(Learner, "_loss", steep)
    _, folder = fails(lambda *_: None)
    named, row = first(folder)
    assert named == "first: gradient norm of all gradients"
    assert row[2:5] == ["-", "0", "1"]


def test_a_few_shot_run(fails, first, monkeypatch):
    """The cause is named, and dropout drops what it dropped in the run."""
    tiny.write_folder(Path("pictures"))
    seen = []
    drop_out = torch.nn.functional.dropout

    def noted(x, *arguments, **options):
        seen.append(drop_out(x, *arguments, **options))
        return seen[-1]

    def poison(learner, _):
        learner.classifier.head.weight.data[1, 2] = NAN
        monkeypatch.setattr(torch.nn.functional, "dropout", noted)

    line, folder = fails(poison, FEWSHOT, SupervisedLearner)
    assert f"srwm replay run/nonfinite/{folder.name}" in line
    there = [x.detach() == 0 for x in seen]
    seen.clear()
    assert first(folder)[1] == ["weight", "head.weight", "2 8", "1", "0", "1 2"]
    here = [x.detach() == 0 for x in seen]
    assert any(0 < mask.float().mean() < 1 for mask in there)
    for ours, theirs in zip(here, there, strict=True):
        assert torch.equal(ours, theirs)


def test_what_is_finite_here_says_so(fails, monkeypatch, capsys):
    loss = Learner._loss

    def broken(self, batch):
        total, parts = loss(self, batch)
        return total * (NAN if self.version == 2 else 1), parts

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "_loss", broken)
        _, folder = fails(lambda *_: None)
    assert main("replay", str(folder)) == 1
    assert "all is finite" in capsys.readouterr().err


def test_the_shares_of_several_learners_are_one_batch(fails, first):
    _, folder = fails(lambda _, batch: batch.reward[3, 2].fill_(NAN))
    tree = checkpoint.load(folder)
    both = folder.with_name("1")
    checkpoint.save(both, {**tree, "shares": tree["shares"] * 2})
    assert first(both)[1] == ["input", "reward", "6 8", "2", "0", "3 2"]


def test_bad_folders_are_told_in_one_line(fails, trained_tmaze, capsys):
    _, folder = fails(lambda _, batch: batch.reward.fill_(NAN))
    tree = checkpoint.load(folder)
    checkpoint.save(folder.with_name("2"), {**tree, "format": 7})
    damage(folder)
    for path, says in {
        folder: "checksum differs",
        folder.with_name("2"): "format 7",
        folder.with_name("3"): "is not a non-finite update: those that ended a run are in",
        trained_tmaze / "checkpoints/000000000400": "is not a non-finite update",
    }.items():
        assert main("replay", str(path)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line
