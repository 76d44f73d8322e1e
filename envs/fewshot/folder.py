"""A folder tree of pictures, `SPLIT/CLASS/*.png`: the most common layout of few-shot data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.fewshot.config import DataConfig
from envs.fewshot.files import DataRoot
from envs.fewshot.images import Split, StoredImages
from envs.fewshot.pictures import is_grey, open_picture, store_by_class, to_pixels

LAYOUT = "train/CLASS/*.png, validation/CLASS/*.png (or val/), test/CLASS/*.png (or .jpg, .jpeg)"

FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "val"),
    "test": ("test",),
}

ENDINGS = (".png", ".jpg", ".jpeg")


def load(config: DataConfig, split: Split) -> StoredImages:
    """Load the pictures of a split; a class is a folder, other files than pictures are left out.

    Without `channels`, all pictures are read as colour if at least one is.

    Raises:
        DataError: if the folder, a class or a picture is not as it should be.
    """
    root = DataRoot.of(config, LAYOUT)
    members = _pictures(root, _folder(root, split))
    channels = config.channels or (1 if _all_grey(root, members) else 3)

    def read(name: str) -> NDArray[np.uint8]:
        with open_picture(root.path / name) as image:
            return to_pixels(image, config.size, channels)

    return store_by_class(root, members, read)


def _folder(root: DataRoot, split: Split) -> str:
    there = [name for name in FOLDERS[split] if os.path.isdir(root.path / name)]
    if not there:
        raise root.error(f"folder {FOLDERS[split][0]!r} is missing, found {root.found()}")
    if len(there) > 1:
        raise root.error(f"folders {' and '.join(map(repr, there))} are both there: keep one")
    return there[0]


def _pictures(root: DataRoot, folder: str) -> dict[str, list[str]]:
    """Return the pictures of each class, as paths from the root, in alphabetical order."""
    with root.reading(f"folder {folder!r}"):
        classes = sorted(entry.name for entry in os.scandir(root.path / folder) if entry.is_dir())
        members = {
            name: sorted(
                f"{folder}/{name}/{file}"
                for file in os.listdir(root.path / folder / name)
                if Path(file).suffix.lower() in ENDINGS and not file.startswith(".")
            )
            for name in classes
            if not name.startswith(".")
        }
    if not members:
        raise root.error(f"folder {folder!r} has no classes, found {root.found(folder)}")
    return members


def _all_grey(root: DataRoot, members: dict[str, list[str]]) -> bool:
    for names in members.values():
        for name in names:
            with root.reading(name), open_picture(root.path / name) as image:
                if not is_grey(image):
                    return False
    return True
