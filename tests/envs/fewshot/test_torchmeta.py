"""torchmeta's HDF5 caches, tiny ones."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from envs.fewshot import DataError
from envs.fewshot.omniglot_split import characters
from tests.envs.fewshot import loading
from tests.envs.fewshot.tiny import PICTURES, SPLITS, shade

h5py = pytest.importorskip("h5py", reason="an optional package: pip install '.[fewshot]'")

from tests.envs.fewshot import tiny_hdf5  # noqa: E402 (it imports h5py)
from tests.envs.fewshot.tiny_hdf5 import CLASSES  # noqa: E402

WRITERS = {
    "pixels": tiny_hdf5.write_pixels,
    "encoded": tiny_hdf5.write_encoded,
    "omniglot": tiny_hdf5.write_omniglot,
    "fc100": tiny_hdf5.write_fc100,
}

SHAPES = {
    "pixels": (84, 84, 3),
    "encoded": (84, 84, 3),
    "omniglot": (28, 28, 1),
    "fc100": (32, 32, 3),
}

VALUES = [[shade(label, number) for number in range(PICTURES)] for label in range(CLASSES)]


@pytest.fixture(params=WRITERS)
def kind(request, tmp_path):
    WRITERS[request.param](tmp_path)
    return request.param


def load(root, split="train", **keys):
    return loading.load("torchmeta", root, split, **keys)


def refused(root, *parts, split="train"):
    loading.refused("torchmeta", root, *parts, split=split)


@pytest.mark.parametrize("split", SPLITS)
def test_classes_come_in_order(kind, tmp_path, split):
    source = load(tmp_path, split)
    assert source.shape == SHAPES[kind]
    turns = 4 if kind == "omniglot" else 1
    assert len(source.names) == turns * CLASSES
    values = source.pixels[:, 0, 0, 0].reshape(turns, CLASSES, PICTURES)
    assert (values == VALUES).all()
    assert (source.pixels == source.pixels[:, :1, :1]).all()
    if kind == "omniglot":
        assert source.names[2] == "/".join(characters(split)[2])


def test_size_and_channels_are_as_asked(kind, tmp_path):
    source = load(tmp_path, size=12, channels=1)
    assert source.shape == (12, 12, 1)
    assert (source.pixels[: CLASSES * PICTURES, 0, 0, 0].reshape(CLASSES, -1) == VALUES).all()


def test_missing_files_are_named(tmp_path):
    refused(tmp_path, "none of train_labels.json, vinyals_train_labels.json", "found nothing")
    (tmp_path / "val_labels.json").write_text('["a"]')
    refused(tmp_path, "val_data.hdf5 is missing, found 'val_labels.json'", split="validation")


def test_without_h5py_one_line_says_how_to_get_it(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(tmp_path, "HDF5 files need h5py: pip install '.[fewshot]'")


@pytest.mark.parametrize("labels", ["", "{", "[]", "{}", '"ab"', "[1]", '["a", "a"]', "[[1]]"])
def test_damaged_labels_are_told(tmp_path, labels):
    tiny_hdf5.write_pixels(tmp_path)
    (tmp_path / "train_labels.json").write_text(labels)
    refused(tmp_path, "train_labels.json")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "train_data.hdf5 has no data set '/datasets/more'"),
        (np.zeros((3, 84, 84, 3)), "'/datasets/more' in train_data.hdf5 is float64 [3, 84, 84, 3]"),
        (np.zeros((3, 84, 84, 4), np.uint8), "is uint8 [3, 84, 84, 4]"),
        (np.zeros((84,), np.uint8), "is uint8 [84]"),
        (np.uint8(3), "is uint8 []"),
        (np.zeros((0, 84, 84, 3), np.uint8), "class 'more' has no pictures"),
        (np.zeros((2, 32, 32, 3), np.uint8), "picture 0 of class 'more' has 32x32x3 pixels"),
    ],
)
def test_a_class_that_is_not_as_it_should_be_is_named(tmp_path, content, problem):
    tiny_hdf5.write_pixels(tmp_path)
    path = tmp_path / "train_labels.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), "more"]))
    if content is not None:
        with h5py.File(tmp_path / "train_data.hdf5", "a") as file:
            file["datasets/more"] = content
    refused(tmp_path, problem)


def test_a_damaged_number_of_rows_is_told(tmp_path):
    """HDF5 gives zeros for rows that were never written; a billion of them take hours."""
    tiny_hdf5.write_pixels(tmp_path)
    with h5py.File(tmp_path / "train_data.hdf5", "a") as file:
        del file["datasets/n00000002"]
        file.create_dataset("datasets/n00000002", (2**30, 84, 84, 3), np.uint8)
    refused(tmp_path, "train_data.hdf5 is [1073741824, 84, 84, 3], larger than the file")


def test_compressed_files_are_read(tmp_path):
    tiny_hdf5.write_pixels(tmp_path)
    with h5py.File(tmp_path / "train_data.hdf5", "w") as file:
        for label in range(CLASSES):
            rows = tiny_hdf5.pixels(label, 84, 84, 3)
            file.create_dataset(f"datasets/n{label:08}", data=rows, compression="gzip")
    assert (load(tmp_path).pixels[:, 0, 0, 0].reshape(CLASSES, -1) == VALUES).all()


@pytest.mark.parametrize("writer", ["pixels", "encoded"])
def test_a_file_that_is_cut_off_is_refused(tmp_path, writer):
    WRITERS[writer](tmp_path)
    path = tmp_path / "train_data.hdf5"
    whole = path.read_bytes()
    for cut in (0, 8, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        refused(tmp_path, "cannot be read")


def test_a_file_with_a_flipped_bit_is_refused_or_read(tmp_path):
    tiny_hdf5.write_pixels(tmp_path)
    path = tmp_path / "train_data.hdf5"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(whole)
        damaged[rng.integers(4096)] ^= 1 << rng.integers(8)  # where the structure is
        path.write_bytes(damaged)
        try:
            assert len(load(tmp_path).names) == CLASSES
        except DataError as error:
            assert "\n" not in str(error)
