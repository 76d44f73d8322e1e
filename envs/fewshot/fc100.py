"""FC100 (Oreshkin et al. 2018): CIFAR-100 split by superclass, 60, 20 and 20 classes, 32x32 RGB.

Read from the archive of the Python version of CIFAR-100 without unpacking it. CIFAR's own
training and test pictures are joined: 600 of each class.
"""

from __future__ import annotations

import gzip
import tarfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from envs.fewshot import safe_pickle
from envs.fewshot.config import DataConfig
from envs.fewshot.files import DataRoot
from envs.fewshot.images import Split, StoredImages
from envs.fewshot.pictures import check_equal_counts, store_by_class, to_pixels

ARCHIVE = "cifar-100-python.tar.gz"

LAYOUT = f"{ARCHIVE} as www.cs.toronto.edu/~kriz/cifar.html has it (CIFAR-100, Python version)"

PARTS = ("meta", "train", "test")

SUPERCLASSES: dict[Split, tuple[str, ...]] = {
    "train": (
        "fish",
        "flowers",
        "food_containers",
        "fruit_and_vegetables",
        "household_electrical_devices",
        "household_furniture",
        "large_man-made_outdoor_things",
        "large_natural_outdoor_scenes",
        "reptiles",
        "trees",
        "vehicles_1",
        "vehicles_2",
    ),
    "validation": (
        "large_carnivores",
        "large_omnivores_and_herbivores",
        "non-insect_invertebrates",
        "small_mammals",
    ),
    "test": ("aquatic_mammals", "insects", "medium_mammals", "people"),
}


def load(config: DataConfig, split: Split) -> StoredImages:
    """Load a split. CIFAR-100 takes 0.2 GB of memory while it is loaded.

    Raises:
        DataError: if the archive is missing or not as it should be.
    """
    root = DataRoot.of(config, LAYOUT)
    with root.reading(ARCHIVE):
        parts = _parts(root)
        images, fine, coarse = _joined(root, parts)
        fine_names = _names(root, parts["meta"], "fine_label_names", fine)
        coarse_names = _names(root, parts["meta"], "coarse_label_names", coarse)
    members: dict[str, NDArray[np.int64]] = {}
    for superclass in SUPERCLASSES[split]:
        if superclass not in coarse_names:
            raise root.error(f"{ARCHIVE} has no superclass {superclass!r}")
        inside = coarse == coarse_names.index(superclass)
        for label in np.unique(fine[inside]):
            name = f"{superclass}/{fine_names[label]}"
            members[name] = np.flatnonzero(inside & (fine == label))
    if len(members) != 5 * len(SUPERCLASSES[split]):
        raise root.error(f"{ARCHIVE} has {len(members)} classes in the split, not 5 a superclass")
    check_equal_counts(root, members)

    def read(index: int) -> NDArray[np.uint8]:
        return to_pixels(Image.fromarray(images[index]), config.size, config.channels)

    return store_by_class(root, members, read)


def _parts(root: DataRoot) -> dict[str, dict[str, Any]]:
    """Return what the three pickles in the archive hold."""
    parts: dict[str, dict[str, Any]] = {}
    with (
        gzip.open(root.file(ARCHIVE)) as stream,
        tarfile.open(fileobj=stream, mode="r:") as archive,
    ):
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            file = archive.extractfile(member) if member.isreg() else None
            if file is not None and folder == "cifar-100-python" and name in PARTS:
                parts[name] = safe_pickle.load(file)  # type: ignore[arg-type]
        while stream.read(2**20):  # to the checksum at the end
            pass
    for name in PARTS:
        if not isinstance(parts.get(name), dict):
            raise root.error(f"{ARCHIVE} has no cifar-100-python/{name} with a dictionary")
    return parts


def _joined(
    root: DataRoot, parts: dict[str, dict[str, Any]]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return all pictures, uint8 [n, 32, 32, 3], and their fine and coarse labels, int64 [n]."""

    def joined(key: str) -> NDArray[Any]:
        return np.concatenate([np.asarray(parts[name][key]) for name in ("train", "test")])

    data = joined("data")
    if data.dtype != np.uint8 or data.shape[1:] != (3 * 32 * 32,):
        raise root.error(f"data in {ARCHIVE} are {data.dtype} {list(data.shape)}, not [n, 3072]")
    fine, coarse = (joined(f"{kind}_labels").astype(np.int64) for kind in ("fine", "coarse"))
    if not fine.shape == coarse.shape == (len(data),):
        raise root.error(f"{ARCHIVE} has not one label for each of its {len(data)} pictures")
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), fine, coarse


def _names(root: DataRoot, meta: dict[str, Any], key: str, labels: NDArray[np.int64]) -> list[str]:
    names = [str(name) for name in meta[key]]
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= len(names):
        raise root.error(f"{ARCHIVE} has labels outside of its {len(names)} {key}")
    return names
