"""Omniglot (Lake et al. 2015) from its two archives: 1623 handwritten characters, 20 drawings each.

As in the usual few-shot setting: ink is bright on black, 28x28, and each quarter turn of a
character is a class of its own, in all splits.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from PIL import ImageChops

from envs.fewshot.config import DataConfig
from envs.fewshot.files import DataRoot
from envs.fewshot.images import Split, StoredImages
from envs.fewshot.omniglot_split import characters
from envs.fewshot.pictures import check_equal_counts, open_picture, store_by_class, to_pixels

LAYOUT = (
    "images_background.zip and images_evaluation.zip, not unpacked, as the folder python/ of "
    "github.com/brendenlake/omniglot has them"
)

STORED_SIZE = (105, 105)

SIZE = 28
"""Pixels, unless the configuration says otherwise."""


def load(config: DataConfig, split: Split) -> StoredImages:
    """Load a split of Vinyals et al. (2016): 4112, 688 or 1692 classes, [n, 28, 28, 1].

    Raises:
        DataError: if an archive is missing or not as it should be.
    """
    root = DataRoot.of(config, LAYOUT)
    wanted = characters(split)
    with ExitStack() as stack:
        archives: dict[str, zipfile.ZipFile] = {}
        drawings: dict[tuple[str, str, str], list[str]] = {}
        for folder in sorted({folder for folder, _, _ in wanted}):
            with root.reading(f"{folder}.zip"):
                archives[folder] = stack.enter_context(zipfile.ZipFile(root.file(f"{folder}.zip")))
            drawings.update(_drawings(archives[folder]))
        for folder, alphabet, character in wanted:
            if (folder, alphabet, character) not in drawings:
                raise root.error(f"{folder}.zip has no {folder}/{alphabet}/{character}/*.png")
        members = {"/".join(key[1:]): drawings[key] for key in wanted}
        check_equal_counts(root, members)

        def read(name: str) -> NDArray[np.uint8]:
            with open_picture(archives[name.split("/")[0]].read(name)) as image:
                if image.size != STORED_SIZE:
                    raise ValueError(f"it has {image.width}x{image.height} pixels, not 105x105")
                inverted = ImageChops.invert(image.convert("L"))
            return to_pixels(inverted, config.size or SIZE, config.channels)

        return store_by_class(root, members, read).quarter_turns()


def _drawings(archive: zipfile.ZipFile) -> dict[tuple[str, str, str], list[str]]:
    """Return the names of the pictures in an archive by (folder, alphabet, character)."""
    drawings = defaultdict(list)
    for name in sorted(archive.namelist()):
        parts = name.split("/")
        if len(parts) == 4 and name.endswith(".png"):
            drawings[parts[0], parts[1], parts[2]].append(name)
    return drawings
