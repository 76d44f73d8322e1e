"""The HDF5 caches that torchmeta makes of Mini-ImageNet, tieredImageNet, Omniglot and CIFAR-100.

`root` is the folder of one data set. They need h5py: `pip install '.[fewshot]'`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from envs.fewshot.config import DataConfig
from envs.fewshot.files import SHORT_NAMES, DataRoot
from envs.fewshot.images import Split, StoredImages
from envs.fewshot.pictures import open_picture, store_by_class, to_pixels

if TYPE_CHECKING:
    import h5py

LAYOUT = (
    "the files of one data set of torchmeta: {train,val,test}_labels.json with "
    "{train,val,test}_data.hdf5 (mini-ImageNet, tieredImageNet), or data.hdf5 with "
    "vinyals_{train,val,test}_labels.json (Omniglot) or fc100/{train,val,test}_labels.json (FC100)"
)


class Cache(NamedTuple):
    """Where torchmeta keeps a data set; `{}` stands for a split.

    Attributes:
        labels: JSON file with the classes of a split, each a name or the parts of a path.
        data: HDF5 file.
        group: path in it under which the classes are.
        size: pixels, unless the configuration says otherwise; None: as stored.
        turns: whether quarter turns of a class are further classes.
    """

    labels: str
    data: str
    group: str = "/"
    size: int | None = None
    turns: bool = False


CACHES = (
    Cache("{}_labels.json", "{}_data.hdf5", group="/datasets"),
    Cache("vinyals_{}_labels.json", "data.hdf5", size=28, turns=True),
    Cache("fc100/{}_labels.json", "data.hdf5"),
)


def load(config: DataConfig, split: Split) -> StoredImages:
    """Load a split. Which data set it is shows in the names of the files.

    Raises:
        DataError: if files are missing or not as they should be, or h5py is not installed.
    """
    root = DataRoot.of(config, LAYOUT)
    short = SHORT_NAMES[split]
    cache = _cache(root, short)
    paths = _paths(root, cache.labels.format(short))
    name = cache.data.format(short)
    with root.reading(name), _h5py(root).File(root.file(name), "r") as file:
        members = {path: _Rows(_dataset(root, file, cache.group, path)) for path in paths}
        read = _reader(config.size or cache.size, config.channels)
        stored = store_by_class(root, members, read)
    return stored.quarter_turns() if cache.turns else stored


class _Rows:
    """The rows of a data set in a file; all are read at once when they are walked through."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return int(self._dataset.shape[0])

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return iter(self._dataset[...])


def _h5py(root: DataRoot) -> Any:
    try:
        import h5py
    except ImportError:
        raise root.error("HDF5 files need h5py: pip install '.[fewshot]'") from None
    return h5py


def _cache(root: DataRoot, short: str) -> Cache:
    for cache in CACHES:
        if os.path.isfile(root.path / cache.labels.format(short)):
            return cache
    names = ", ".join(cache.labels.format(short) for cache in CACHES)
    raise root.error(f"none of {names} is there, found {root.found()}")


def _paths(root: DataRoot, name: str) -> list[str]:
    """Return the classes that a file of labels lists, as paths in the HDF5 file."""
    with root.reading(name):
        labels = json.loads(root.file(name).read_bytes())
        paths = ["/".join([label] if isinstance(label, str) else label) for label in labels]
    if not isinstance(labels, list) or not paths or len(set(paths)) < len(paths):
        raise root.error(f"{name} is not a list of different classes")
    return paths


def _dataset(root: DataRoot, file: h5py.File, group: str, path: str) -> h5py.Dataset:
    """Return the pictures of a class: uint8 [n, H, W] or [n, H, W, 3], or n encoded pictures."""
    name = os.path.basename(file.filename)
    full = f"{group.rstrip('/')}/{path}"
    dataset = file.get(full)
    if not isinstance(dataset, _h5py(root).Dataset):
        raise root.error(f"{name} has no data set {full!r}")
    encoded = _h5py(root).check_vlen_dtype(dataset.dtype) == np.uint8 and dataset.ndim == 1
    stored = dataset.dtype == np.uint8 and (dataset.ndim == 3 or dataset.shape[3:] == (3,))
    if not encoded and not stored:
        raise root.error(f"{full!r} in {name} is {dataset.dtype} {list(dataset.shape)}")
    # A damaged number of rows would be read for hours.
    if dataset.compression is None and dataset.nbytes > os.path.getsize(file.filename):
        raise root.error(f"{full!r} in {name} is {list(dataset.shape)}, larger than the file")
    return dataset


def _reader(
    size: int | None, channels: int | None
) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    def read(row: NDArray[np.uint8]) -> NDArray[np.uint8]:
        # One dimension: the bytes of a PNG or JPEG file. More: the pixels.
        image = open_picture(row.tobytes()) if row.ndim == 1 else Image.fromarray(row)
        return to_pixels(image, size, channels)

    return read
