"""Omniglot from its archives."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from PIL import Image

from envs.fewshot.omniglot_split import characters
from tests.envs.fewshot.loading import load, refused
from tests.envs.fewshot.tiny import SPLITS, encoded


def test_omniglot_split_is_that_of_vinyals():
    lists = {split: characters(split) for split in SPLITS}
    assert [len(lists[split]) for split in SPLITS] == [1028, 172, 423]
    assert len({name for names in lists.values() for name in names}) == 1623
    background = [name for name in lists["train"] if name[0] == "images_background"]
    assert (len(background), len(lists["train"]) - len(background)) == (792, 236)
    assert ("images_evaluation", "Gurmukhi", "character41") in lists["train"]
    assert ("images_evaluation", "Gurmukhi", "character42") in lists["test"]


def changed_archive(source, target, changes):
    """Copy Omniglot's background archive; `changes`: name of a picture -> new content or None."""
    with (
        zipfile.ZipFile(source / "images_background.zip") as old,
        zipfile.ZipFile(target / "images_background.zip", "w") as new,
    ):
        for name in old.namelist():
            content = changes.get(name, old.read(name))
            if content is not None:
                new.writestr(name, content)


def drawings(root, index):
    """Class name and archive names of the drawings of a character of the validation split."""
    _, alphabet, character = characters("validation")[index]
    name = f"{alphabet}/{character}"
    with zipfile.ZipFile(root / "images_background.zip") as archive:
        return name, [file for file in archive.namelist() if f"/{name}/" in file]


def test_omniglot_is_inverted_and_turned(data, tmp_path):
    paper = np.full((105, 105), 255, np.uint8)
    paper[:15, 90:] = 0  # ink in the upper right corner
    buffer = io.BytesIO()
    Image.fromarray(paper).convert("1").save(buffer, "PNG")
    name, files = drawings(data["omniglot"], 7)
    changed_archive(data["omniglot"], tmp_path, {files[0]: buffer.getvalue()})
    source = load("omniglot", tmp_path, "validation")
    inked = []
    for turn in ("", " turned 90", " turned 180", " turned 270"):
        first = source.pixels[source.offsets[source.names.index(name + turn)], :, :, 0]
        corners = np.stack([first[:4, :4], first[:4, -4:], first[-4:, -4:], first[-4:, :4]])
        inked.append(corners.mean(axis=(1, 2)).argmax())
        assert first.max() == 255 and np.median(first) == 0 and (first > 128).sum() == 16
    # Corners clockwise from the upper left; the picture turns anticlockwise.
    assert inked == [1, 0, 3, 2]


def test_omniglot_faults_are_named(data, tmp_path):
    name, files = drawings(data["omniglot"], 3)
    for changes, problem in [
        (dict.fromkeys(files), f"images_background.zip has no images_background/{name}/*.png"),
        ({files[0]: None}, f"class '{name}' has 2 pictures and others have 3"),
        ({files[0]: encoded(0, (28, 28))}, f"{files[0]} cannot be read (ValueError: it has 28x28"),
        ({files[0]: b"no picture"}, f"{files[0]} cannot be read (UnidentifiedImageError"),
    ]:
        changed_archive(data["omniglot"], tmp_path, changes)
        refused("omniglot", tmp_path, problem, split="validation")
    refused("omniglot", tmp_path, "images_evaluation.zip is missing", split="test")
