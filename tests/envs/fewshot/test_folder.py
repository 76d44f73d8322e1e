"""Folder trees of pictures, and what happens to pictures on the way."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.envs.fewshot import tiny
from tests.envs.fewshot.loading import load, refused, shades, wanted
from tests.envs.fewshot.tiny import encoded, shade


def test_folder_names_classes_and_leaves_out_other_files(tmp_path):
    tiny.write_folder(tmp_path, classes=2, validation="validation")
    (tmp_path / "train" / "class0" / "notes.txt").touch()
    (tmp_path / "train" / "class0" / "._0.png").touch()
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "list.csv").touch()
    (tmp_path / "train" / "class0" / "9.JPG").write_bytes(encoded(77, (28, 28), "JPEG"))
    source = load("folder", tmp_path)
    assert source.names == ("class0", "class1")
    assert shades(source) == [[*wanted([0])[0], 77], *wanted([1])]
    assert load("folder", tmp_path, "validation").names == source.names


def test_folder_is_colour_if_one_picture_is(tmp_path):
    tiny.write_folder(tmp_path, classes=2)
    (tmp_path / "test" / "class1" / "1.png").write_bytes(encoded((1, 2, 3), (28, 28)))
    assert load("folder", tmp_path, "train").shape == (28, 28, 1)
    source = load("folder", tmp_path, "test")
    assert source.shape == (28, 28, 3)
    assert source.pixels[4, 5, 6].tolist() == [1, 2, 3]
    assert source.pixels[3, 5, 6].tolist() == [shade(1, 0)] * 3


def test_folder_needs_one_size(tmp_path):
    tiny.write_folder(tmp_path, classes=2)
    (tmp_path / "train" / "class1" / "1.png").write_bytes(encoded(9, (30, 20)))
    refused("folder", tmp_path, "train/class1/1.png", "20x30x1", "28x28x1", "set size")
    assert load("folder", tmp_path, size=28).shape == (28, 28, 1)


def test_resizing_keeps_the_middle_square(tmp_path):
    """A 12x36 picture whose middle third is white: only that is left."""
    tiny.write_folder(tmp_path, classes=1)
    wide = np.zeros((12, 36), np.uint8)
    wide[:, 12:24] = 255
    Image.fromarray(wide).save(tmp_path / "train" / "class0" / "0.png")
    assert (load("folder", tmp_path, size=12).pixels[0] == 255).all()


def test_transparency_is_white(tmp_path):
    tiny.write_folder(tmp_path, classes=1)
    picture = np.zeros((28, 28, 4), np.uint8)
    picture[:14, :, 3] = 255
    Image.fromarray(picture).save(tmp_path / "train" / "class0" / "0.png")
    source = load("folder", tmp_path)
    assert (source.pixels[0, :14] == 0).all() and (source.pixels[0, 14:] == 255).all()


def test_folder_faults_are_named(tmp_path):
    tiny.write_folder(tmp_path, classes=2)
    (tmp_path / "validation").mkdir()
    refused("folder", tmp_path, "'validation' and 'val' are both there", split="validation")
    picture = tmp_path / "train" / "class1" / "2.png"
    picture.write_bytes(picture.read_bytes()[:40])
    refused("folder", tmp_path, "train/class1/2.png cannot be read")
    refused("folder", tmp_path, "train/class1/2.png cannot be read", channels=3)
    broken = picture.with_name("line\nbreak.png")
    picture.rename(broken)
    refused("folder", tmp_path, "train/class1/line break.png cannot be read")
    broken.unlink()
    picture.write_bytes(encoded(0, (28, 28), "BMP"))  # Pillow could read it
    refused("folder", tmp_path, "train/class1/2.png cannot be read")
    Image.fromarray(np.zeros((28, 28), np.uint16)).save(picture)
    refused("folder", tmp_path, "train/class1/2.png cannot be read", "8 bits")
    for file in picture.parent.iterdir():
        file.unlink()
    refused("folder", tmp_path, "class 'class1' has no pictures")
    (tmp_path / "train").rename(tmp_path / "other")
    refused("folder", tmp_path, "folder 'train' is missing, found 'other', 'test', 'val'")


def test_a_split_without_classes_is_told(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.png").touch()
    refused("folder", tmp_path, "folder 'train' has no classes, found 'a.png'")
