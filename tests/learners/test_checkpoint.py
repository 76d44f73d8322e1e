"""Checkpoints: whole or not there at all, and never code."""

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import warnings
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from learners import checkpoint
from learners.checkpoint import STATE, SUMS, TENSORS, CheckpointError

FILES = (TENSORS, STATE, SUMS)


def tree(mark=0):
    return {
        "frames": 300_000_000 + mark,
        "weights": {"layer.weight": torch.randn(3, 4), "layer.bias": torch.randn(3)},
        "envs": [b"\x00\xff of one", b"and the other"],
    }


def assert_same(loaded, expected):
    torch.testing.assert_close(loaded, expected, rtol=0, atol=0, equal_nan=True)


def sign(folder):
    """Write the sums anew, as who forges a checkpoint would."""
    sums = (
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in FILES[:2]
    )
    (folder / SUMS).write_text("\n".join(sums) + "\n")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / checkpoint.name_of(1)
    checkpoint.save(path, tree())
    return path


ARRAYS = {
    "bool": torch.tensor([True, False]),
    "uint8": torch.arange(256, dtype=torch.uint8),
    "int64": torch.tensor([[-(2**62), 2**62]]),
    "float32": torch.tensor([0.1, float("inf"), float("nan"), -0.0]),
    "float64": torch.tensor([1 / 3], dtype=torch.float64),
    "bfloat16": torch.tensor([1 / 3], dtype=torch.bfloat16),
    "scalar": torch.tensor(7.0),
    "empty": torch.zeros(0, 3),
    "transposed": torch.arange(6).reshape(2, 3).T,
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "a view": torch.arange(10)[2:8:2],
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_a_tensor_comes_back_as_it_was(tmp_path, array):
    checkpoint.save(tmp_path / "1", {"a": array})
    loaded = checkpoint.load(tmp_path / "1")["a"]
    assert loaded.dtype == array.dtype
    assert loaded.shape == array.shape
    assert_same(loaded, array)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 3), (0,), ()])
def test_an_array_comes_back_as_a_tensor(tmp_path, dtype, shape):
    array = np.ones(shape, dtype)
    array.setflags(write=False)  # as what Ray hands out
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoint.save(tmp_path / "1", {"a": array, "slice": np.arange(6).reshape(2, 3)[:, ::-2]})
    loaded = checkpoint.load(tmp_path / "1")
    assert loaded["a"].shape == shape
    assert loaded["a"].numpy().dtype == dtype
    assert np.array_equal(loaded["a"].numpy(), array)
    assert loaded["slice"].tolist() == [[2, 0], [5, 3]]


def test_a_nested_tree_comes_back(tmp_path):
    parameter = torch.nn.Parameter(torch.randn(2))
    plain = {
        "none": None,
        "yes": True,
        "int": 2**60,
        "float": 0.1,
        "text": "naïve\n",
        "no dict": {},
        "no list": [],
        "list": [1, [2, {"three": 3.0}], None],
    }
    checkpoint.save(
        tmp_path / "deep" / "1",
        {
            "plain": plain,
            "tuple": (1, 2),
            "bytes": [b"", b"\x00\xff"],
            "twice": [parameter, parameter],
            "mixed": {"a": {"b": [{"c": torch.ones(1)}]}},
        },
    )
    loaded = checkpoint.load(tmp_path / "deep" / "1")
    assert loaded["plain"] == plain
    assert loaded["plain"]["yes"] is True
    assert loaded["tuple"] == [1, 2]
    assert [bytes(tensor.numpy()) for tensor in loaded["bytes"]] == [b"", b"\x00\xff"]
    for tensor in loaded["twice"]:
        assert torch.equal(tensor, parameter)
        assert not tensor.requires_grad
    assert loaded["mixed"]["a"]["b"][0]["c"].tolist() == [1]


def test_names_that_look_alike_stay_apart(tmp_path):
    expected = {"a/b": torch.tensor(1), "a": {"b": torch.tensor(2)}}
    checkpoint.save(tmp_path / "1", expected)
    assert_same(checkpoint.load(tmp_path / "1"), expected)


def test_saving_changes_nothing_and_keeps_no_hold(tmp_path):
    weights = torch.zeros(3)
    original = {"weights": weights, "list": [weights]}
    checkpoint.save(tmp_path / "1", original)
    assert original["weights"] is weights and original["list"][0] is weights
    weights += 1
    assert not checkpoint.load(tmp_path / "1")["weights"].any()


@pytest.mark.parametrize("name", [TENSORS, STATE])
def test_any_damaged_byte_is_found(folder, name):
    path = folder / name
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=name):
            checkpoint.load(folder)


@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_damaged_sums_never_let_a_damaged_file_pass(folder, bit):
    """A changed line end is harmless; all else is found, or finds the damage beside it."""
    expected = checkpoint.load(folder)
    path = folder / SUMS
    whole = path.read_bytes()
    found = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= bit
        path.write_bytes(damaged)
        try:
            assert_same(checkpoint.load(folder), expected)
        except CheckpointError as error:
            assert str(folder) in str(error)
            found += 1
    assert found >= len(whole) - 2


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0, 0.3, 0.6])
def test_a_file_cut_short_is_found(folder, name, keep):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(CheckpointError) as raised:
        checkpoint.load(folder)
    assert str(folder) in str(raised.value)


def test_sums_cut_between_their_lines_are_found(folder):
    """Else the second file would not be checked at all."""
    first_line = (folder / SUMS).read_text().splitlines(keepends=True)[0]
    (folder / SUMS).write_text(first_line)
    with pytest.raises(CheckpointError):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name) as raised:
        checkpoint.load(folder)
    assert "\n" not in str(raised.value)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="000000000009"):
        checkpoint.load(tmp_path / "000000000009")


def test_sums_are_what_sha256sum_reads(folder):
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=folder, check=True)


def test_names_sort_by_frames():
    names = [checkpoint.name_of(frames) for frames in (0, 9, 10, 999_999, 300_000_000)]
    assert names == sorted(names)
    assert all(name.isdigit() for name in names)


def test_readable_passes_over_the_damaged(tmp_path):
    for frames in (1, 2, 3):
        checkpoint.save(tmp_path / checkpoint.name_of(frames), tree(frames))
    newest = tmp_path / checkpoint.name_of(3)
    (newest / STATE).write_text("{}")
    found = list(checkpoint.readable(tmp_path))
    assert [folder.name for folder, _ in found] == [checkpoint.name_of(n) for n in (3, 2, 1)]
    assert isinstance(found[0][1], CheckpointError)
    assert [loaded["frames"] for _, loaded in found[1:]] == [300_000_002, 300_000_001]


def test_prune_keeps_the_newest(tmp_path):
    for frames in (5, 1_000_000, 40, 300):
        checkpoint.save(tmp_path / checkpoint.name_of(frames), tree(frames))
    newest = tmp_path / checkpoint.name_of(1_000_000)
    checkpoint.prune(newest, keep=2)
    assert [int(path.name) for path in checkpoint.saved(tmp_path)] == [1_000_000, 300]
    checkpoint.prune(newest, keep=5)
    assert len(checkpoint.saved(tmp_path)) == 2


def test_prune_keeps_what_was_just_written_beside_a_damaged_one_of_a_higher_number(tmp_path):
    for frames in (5, 40, 300):
        checkpoint.save(tmp_path / checkpoint.name_of(frames), tree(frames))
    (tmp_path / checkpoint.name_of(1_000_000)).write_text("not a folder")
    checkpoint.prune(tmp_path / checkpoint.name_of(300), keep=2)
    assert [int(path.name) for path in checkpoint.saved(tmp_path)] == [1_000_000, 300]
    checkpoint.prune(tmp_path / checkpoint.name_of(300), keep=1)
    assert [int(path.name) for path in checkpoint.saved(tmp_path)] == [300]


def test_nothing_is_saved_where_there_is_no_folder(tmp_path):
    assert checkpoint.saved(tmp_path / "absent") == []
    assert list(checkpoint.readable(tmp_path / "absent")) == []


def test_saving_the_same_frames_again_keeps_what_is_whole(folder):
    checkpoint.save(folder, tree(1))
    assert checkpoint.load(folder)["frames"] == 300_000_000
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_saving_the_same_frames_again_replaces_what_is_damaged(folder):
    (folder / checkpoint.STATE).write_text("{}")
    checkpoint.save(folder, tree(1))
    assert checkpoint.load(folder)["frames"] == 300_000_001
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    folder = tmp_path / checkpoint.name_of(1)
    flushed = {False: set(), True: set()}  # inodes, by whether the folder was there already
    fsync = os.fsync

    def record(handle):
        flushed[folder.exists()].add(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", record)
    checkpoint.save(folder, tree())
    assert flushed[False] == {path.stat().st_ino for path in (folder, *folder.iterdir())}
    assert flushed[True] == {tmp_path.stat().st_ino}


class Stop(BaseException):
    """An end that no handler expects."""


def stop_at(monkeypatch, moment, kill):
    """Let `save` fail at its `moment`-th step on the disk; killed, it cannot tidy up either."""
    steps = count()

    def stopping(function):
        def step(*args, **kwargs):
            if next(steps) == moment:
                if kill:
                    monkeypatch.setattr(checkpoint.shutil, "rmtree", lambda *_, **__: None)
                raise Stop
            return function(*args, **kwargs)

        return step

    monkeypatch.setattr(checkpoint, "save_file", stopping(checkpoint.save_file))
    monkeypatch.setattr(checkpoint, "_flush", stopping(checkpoint._flush))
    for name in ("mkdir", "write_text", "rename"):
        monkeypatch.setattr(Path, name, stopping(getattr(Path, name)))


@pytest.mark.parametrize("kill", [False, True], ids=["exception", "kill"])
@pytest.mark.parametrize("damaged", [True, False], ids=["over a damaged one", "new"])
def test_a_save_that_stops_anywhere_leaves_a_whole_checkpoint(tmp_path, monkeypatch, damaged, kill):
    """The older one or the newer one, and never half of one."""
    for moment in count():
        root = tmp_path / str(moment)
        checkpoint.save(root / checkpoint.name_of(1), tree(1))
        if damaged:
            (root / checkpoint.name_of(2)).mkdir()
        with monkeypatch.context() as patch:
            stop_at(patch, moment, kill)
            try:
                checkpoint.save(root / checkpoint.name_of(2), tree(2))
                break  # there was no such moment: all of them are tried
            except Stop:
                pass
        found = [found for found in checkpoint.readable(root) if isinstance(found[1], dict)]
        assert found, f"no checkpoint is left after a stop at step {moment}"
        assert found[-1][1]["frames"] in (300_000_001, 300_000_002)
        if not kill:
            visible = [path for path in root.iterdir() if not path.name.isdigit()]
            assert visible == [], f"left behind after a stop at step {moment}"
        # And the next save works.
        checkpoint.save(root / checkpoint.name_of(3), tree(3))
        assert checkpoint.load(checkpoint.saved(root)[0])["frames"] == 300_000_003
    assert moment >= 6


def test_an_exception_while_writing_is_passed_on(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(folder.with_name(checkpoint.name_of(2)), tree(2))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert checkpoint.load(folder)["frames"] == 300_000_000


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from learners import checkpoint

def half(tensors, path):
    Path(path).write_bytes(b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)

checkpoint.save_file = half
checkpoint.save(Path(sys.argv[1]), {"weights": torch.zeros(3)})
"""


def test_a_killed_process_leaves_the_older_checkpoint(folder):
    later = folder.with_name(checkpoint.name_of(2))
    done = subprocess.run([sys.executable, "-c", KILLED, later], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(folder.parent)) == 2  # its half is there, under another name
    assert checkpoint.saved(folder.parent) == [folder]
    ((path, loaded),) = checkpoint.readable(folder.parent)
    assert path == folder
    assert loaded["frames"] == 300_000_000


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("signed", [False, True], ids=["sums differ", "sums forged"])
@pytest.mark.parametrize("name", [TENSORS, STATE])
@pytest.mark.parametrize("write", [pickle.dumps, "torch.save"], ids=["pickle", "torch"])
def test_code_in_place_of_a_file_is_refused_and_does_not_run(folder, name, write, signed):
    mark = folder.parent / "ran"
    if write == "torch.save":
        torch.save(Evil(mark), folder / name)
    else:
        (folder / name).write_bytes(write(Evil(mark)))
    if signed:
        sign(folder)
    try:
        with pytest.raises(CheckpointError):
            checkpoint.load(folder)
    finally:
        assert not mark.exists()
    # The trap was live.
    pickle.loads(pickle.dumps(Evil(mark)))
    assert mark.exists()
