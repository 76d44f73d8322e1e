"""Hundreds of damaged checkpoints: each is named in one line, and none is loaded or runs code."""

import logging
import os

import pytest
import torch

from launch import api
from launch.errors import UserError
from launch.run.folder import RunFolder
from learners import checkpoint as store
from tests.launch.run.damage import BEFORE, CANARY, DAMAGED, FILES, FORGED, NEWEST, OTHERS
from tests.launch.runs import TMAZE, checkpoint, copy_run, main, write_config


@pytest.fixture
def run(trained_tmaze, tmp_path):
    return copy_run(trained_tmaze, tmp_path / "run")


def read(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


class Fuzz:
    """A run whose newest checkpoint is damaged again and again."""

    def __init__(self, path, caplog):
        self.run = RunFolder(path)
        self.folder = checkpoint(path, NEWEST)
        self.caplog = caplog
        self.good = read(self.folder)
        self.states = {n: store.load(checkpoint(path, n)) for n in (*OTHERS, NEWEST)}

    def restore(self):
        store.remove(self.folder)
        self.folder.mkdir()
        for name, content in self.good.items():
            (self.folder / name).write_bytes(content)

    def newest(self):
        """Return the frames of what is loaded, or the one line with which all is refused."""
        self.caplog.clear()
        try:
            saved = self.run.newest_checkpoint()
        except UserError as error:
            self.assert_names_it(str(error))
            return str(error)
        warnings = [r.getMessage() for r in self.caplog.records if r.levelno >= logging.WARNING]
        assert len(warnings) == (saved.frames != NEWEST)
        for warning in warnings:
            self.assert_names_it(warning)
        assert_same(saved.tree(), self.states[saved.frames])
        return saved.frames

    def assert_names_it(self, message):
        assert str(self.folder) in message
        assert len(message.splitlines()) == 1
        assert len(message) < 1000


def assert_same(found, expected):
    """Of trees with tensors or arrays; rollouts are tuples in the one, lists in the other."""
    if isinstance(expected, torch.Tensor):
        assert torch.equal(torch.as_tensor(found), expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list):
        for ours, theirs in zip(found, expected, strict=True):
            assert_same(ours, theirs)
    else:
        assert found == expected
        assert type(found) is type(expected)


@pytest.fixture
def fuzz(run, caplog):
    caplog.set_level(logging.WARNING)
    return Fuzz(run, caplog)


def test_there_are_many(fuzz):
    assert sum(1 for kind in (*DAMAGED, *FORGED) for _ in kind(fuzz.good)) > 500


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_damaged_is_passed_over(kind, fuzz):
    """Unless what it holds is the same, as with another end of a line in the checksums."""
    found = []
    for damage in kind(fuzz.good):
        damage(fuzz.folder)
        found.append(fuzz.newest())
        fuzz.restore()
    assert set(found) <= {BEFORE, NEWEST}
    assert found.count(BEFORE) > 0.9 * len(found)
    assert not os.path.lexists(CANARY)


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_forged_is_passed_over_or_refused(kind, fuzz):
    """With checksums that fit it is no damage: what is not a run's checkpoint is not replaced."""
    for damage in kind(fuzz.good):
        damage(fuzz.folder)
        assert fuzz.newest() != NEWEST
        fuzz.restore()
    assert not os.path.lexists(CANARY)


@pytest.mark.parametrize("kind", [*DAMAGED, *FORGED])
def test_the_next_checkpoint_of_these_frames_takes_its_place(kind, fuzz):
    good = fuzz.run.newest_checkpoint()
    *_, damage = kind(fuzz.good)
    damage(fuzz.folder)
    fuzz.run.save_checkpoint(good, keep=3)
    assert fuzz.newest() == NEWEST
    assert sorted(path.name for path in fuzz.folder.iterdir()) == sorted(FILES)
    assert sorted(path.name for path in fuzz.folder.parent.iterdir()) == [
        f"{frames:012d}" for frames in (200, BEFORE, NEWEST)
    ]


@pytest.mark.parametrize("kind", [*DAMAGED, *FORGED])
@pytest.mark.parametrize("how", ["--auto-resume", "--resume"])
def test_the_command_goes_on_from_the_one_before_or_ends_in_one_line(
    kind, how, fuzz, monkeypatch, capsys
):
    begun = []
    monkeypatch.setattr(api, "drive", lambda job, run, console, saved, own: begun.append(saved))
    damage, *_ = kind(fuzz.good)
    damage(fuzz.folder)
    arguments = ["--resume", str(fuzz.run.path), "total_frames=600"]
    if how == "--auto-resume":
        config = {**TMAZE, "total_frames": 600, "run_dir": str(fuzz.run.path)}
        arguments = [str(write_config(fuzz.run.path.with_name("c.yaml"), config)), how]
    status = main("train", *arguments)
    if status == 0:
        assert [saved.frames for saved in begun] == [BEFORE]
    else:
        assert status == 2
        (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("srwm: ")]
        fuzz.assert_names_it(line)
        assert kind in FORGED
        assert not begun


def test_a_digit_that_is_no_number_is_no_checkpoint(fuzz):
    (fuzz.folder.parent / "\N{SUPERSCRIPT TWO}").mkdir()
    assert fuzz.newest() == NEWEST
    for choice in ("\N{SUPERSCRIPT TWO}", "9" * 5000, "-1", ""):
        with pytest.raises(UserError, match="a number of frames"):
            fuzz.run.find_checkpoint(choice)
