"""Loaders of users' data: each format read from a tiny copy, each damage told in one line."""

from __future__ import annotations

import numpy as np
import pytest

from envs.fewshot import DataError
from tests.envs.fewshot.loading import WRITERS, load, refused, shades, wanted
from tests.envs.fewshot.tiny import PICTURES, SPLITS

CLASSES = {
    "folder": (5, 5, 5),
    "omniglot": (4 * 1028, 4 * 172, 4 * 423),
    "miniimagenet": (64, 16, 20),
    "fc100": (60, 20, 20),
    "tieredimagenet": (351, 97, 160),
}

SHAPES = {
    "folder": (28, 28, 1),
    "omniglot": (28, 28, 1),
    "miniimagenet": (84, 84, 3),
    "fc100": (32, 32, 3),
    "tieredimagenet": (84, 84, 3),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_its_classes_and_shape(data, name, split):
    source = load(name, data[name], split)
    assert len(source.names) == len(set(source.names)) == CLASSES[name][SPLITS.index(split)]
    assert source.shape == SHAPES[name]
    assert source.smallest == PICTURES


@pytest.mark.parametrize("name", WRITERS)
def test_size_and_channels_are_as_asked(data, name):
    for channels in (1, 3):
        source = load(name, data[name], "validation", size=20, channels=channels)
        assert source.shape == (20, 20, channels)
        assert shades(source) == shades(load(name, data[name], "validation"))


@pytest.mark.parametrize("name", ["folder", "miniimagenet", "tieredimagenet"])
def test_each_class_has_its_own_pictures(data, name):
    source = load(name, data[name], "test")
    assert shades(source) == wanted(range(len(source.names)))


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_folder_is_told(data, name, tmp_path):
    refused(name, tmp_path / "none", "no such folder")
    file = tmp_path / "file"
    file.touch()
    refused(name, file, "no such folder")


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_folder_is_told_what_belongs_there(data, name, tmp_path):
    for split in SPLITS:
        refused(name, tmp_path, "is missing, found nothing", split=split)
    (tmp_path / "other.txt").touch()
    refused(name, tmp_path, "found 'other.txt'")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("omniglot", "images_background.zip"),
        ("miniimagenet", "mini-imagenet-cache-val.pkl"),
        ("fc100", "cifar-100-python.tar.gz"),
        ("tieredimagenet", "val_labels.pkl"),
        ("tieredimagenet", "val_images_png.pkl"),
    ],
)
def test_a_damaged_file_is_refused_or_read(data, name, file, tmp_path):
    """Cut off anywhere: refused. A bit flipped anywhere: refused, or read well."""
    for path in data[name].iterdir():
        (tmp_path / path.name).symlink_to(path)
    whole = (data[name] / file).read_bytes()
    (tmp_path / file).unlink()
    rng = np.random.default_rng(0)
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        (tmp_path / file).write_bytes(whole[:cut])
        refused(name, tmp_path, f"{file} cannot be read", split="validation")
    for _ in range(8):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (tmp_path / file).write_bytes(damaged)
        try:
            source = load(name, tmp_path, "validation")
        except DataError as error:
            assert "\n" not in str(error)
        else:
            assert len(source.names) == CLASSES[name][1]
