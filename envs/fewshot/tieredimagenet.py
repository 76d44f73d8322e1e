"""TieredImageNet (Ren et al. 2018) from its pickles: 351, 97 and 160 classes, 84x84 RGB.

The split is by category, so that test classes are unlike training classes. The pickles, with
pictures as PNG, are those of github.com/renmengye/few-shot-ssl-public.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.fewshot import safe_pickle
from envs.fewshot.config import DataConfig
from envs.fewshot.files import SHORT_NAMES, DataRoot
from envs.fewshot.images import Split, StoredImages
from envs.fewshot.pictures import open_picture, store_by_class, to_pixels

LAYOUT = (
    "{train,val,test}_images_png.pkl (a list of PNG pictures) and {train,val,test}_labels.pkl "
    "(keys label_specific, label_specific_str)"
)

CLASSES: dict[Split, int] = {"train": 351, "validation": 97, "test": 160}


def load(config: DataConfig, split: Split) -> StoredImages:
    """Load a split. Training has 448 695 pictures: 9.5 GB of memory at 84x84, 1.4 GB at size 32.

    Raises:
        DataError: if its files are missing or not as they should be.
    """
    root = DataRoot.of(config, LAYOUT)
    short = SHORT_NAMES[split]
    members = _members(root, f"{short}_labels.pkl", CLASSES[split])
    name = f"{short}_images_png.pkl"
    with root.reading(name), root.file(name).open("rb") as file:
        images = list(safe_pickle.load(file))
    labelled = sum(map(len, members.values()))
    if len(images) != labelled:
        raise root.error(f"{name} has {len(images)} pictures and {short}_labels.pkl {labelled}")

    def read(index: int) -> NDArray[np.uint8]:
        encoded, images[index] = images[index], None  # the list shrinks as the pictures grow
        data = encoded if isinstance(encoded, bytes) else np.asarray(encoded, np.uint8).tobytes()
        with open_picture(data) as image:
            return to_pixels(image, config.size, config.channels)

    return store_by_class(root, members, read)


def _members(root: DataRoot, name: str, classes: int) -> dict[str, NDArray[np.int64]]:
    """Return the indices of the pictures of each class."""
    with root.reading(name), root.file(name).open("rb") as file:
        content: Any = safe_pickle.load(file)
        labels = np.asarray(content["label_specific"]).astype(np.int64)
        names = [str(label) for label in content["label_specific_str"]]
    if len(names) != classes or len(set(names)) != classes:
        raise root.error(f"{name} names {len(set(names))} classes, not {classes}")
    if labels.ndim != 1 or labels.min(initial=0) < 0 or labels.max(initial=0) >= classes:
        raise root.error(f"label_specific of {name} has labels outside of its {classes} classes")
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(labels, minlength=classes))[:-1])
    return dict(zip(names, parts, strict=True))
