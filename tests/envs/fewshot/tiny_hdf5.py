"""Tiny data sets as torchmeta stores them; made with h5py."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from envs.fewshot.files import SHORT_NAMES
from envs.fewshot.omniglot_split import characters
from tests.envs.fewshot.tiny import PICTURES, SPLITS, encoded, shade

CLASSES = 6


def pixels(label: int, *shape: int) -> np.ndarray:
    """Return the pictures of a class, uint8 [n, *shape]."""
    shades = [shade(label, number) for number in range(PICTURES)]
    return np.stack([np.full(shape, value, np.uint8) for value in shades])


def write_pixels(root: Path) -> None:
    """Mini-ImageNet: pixels under the group `datasets`."""
    for short in SHORT_NAMES.values():
        names = [f"n{label:08}" for label in range(CLASSES)]
        (root / f"{short}_labels.json").write_text(json.dumps(names))
        with h5py.File(root / f"{short}_data.hdf5", "w") as file:
            for label, name in enumerate(names):
                file[f"datasets/{name}"] = pixels(label, 84, 84, 3)


def write_encoded(root: Path) -> None:
    """TieredImageNet: PNG files, each a row of another length."""
    for short in SHORT_NAMES.values():
        names = [f"name {label}" for label in range(CLASSES)]
        (root / f"{short}_labels.json").write_text(json.dumps(names))
        with h5py.File(root / f"{short}_data.hdf5", "w") as file:
            for label, name in enumerate(names):
                kind = h5py.vlen_dtype(np.uint8)
                rows = file.create_dataset(f"datasets/{name}", (PICTURES,), kind)
                for number in range(PICTURES):
                    data = encoded((shade(label, number),) * 3, (84, 84))
                    rows[number] = np.frombuffer(data, np.uint8)


def write_omniglot(root: Path) -> None:
    with h5py.File(root / "data.hdf5", "w") as file:
        for split in SPLITS:
            labels = characters(split)[:CLASSES]
            path = root / f"vinyals_{SHORT_NAMES[split]}_labels.json"
            path.write_text(json.dumps(labels))
            for label, names in enumerate(labels):
                file["/".join(names)] = pixels(label, 105, 105)


def write_fc100(root: Path) -> None:
    (root / "fc100").mkdir()
    with h5py.File(root / "data.hdf5", "w") as file:
        for split, short in SHORT_NAMES.items():
            labels = [[f"coarse of {split}", f"fine{label}"] for label in range(CLASSES)]
            (root / "fc100" / f"{short}_labels.json").write_text(json.dumps(labels))
            for label, names in enumerate(labels):
                file["/".join(names)] = pixels(label, 32, 32, 3)
