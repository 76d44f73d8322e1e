"""Mini-ImageNet from its three pickles: 64, 16 and 20 classes of 600 pictures, 84x84 RGB.

The split is that of Ravi and Larochelle (ICLR 2017). The pickles are those of
github.com/renmengye/few-shot-ssl-public, which torchmeta also starts from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from envs.fewshot import safe_pickle
from envs.fewshot.config import DataConfig
from envs.fewshot.files import SHORT_NAMES, DataRoot
from envs.fewshot.images import Split, StoredImages
from envs.fewshot.pictures import check_equal_counts, store_by_class, to_pixels

LAYOUT = (
    "mini-imagenet-cache-{train,val,test}.pkl, each with the keys image_data (uint8 [n, 84, 84, 3])"
    " and class_dict (name of a class -> indices of its pictures)"
)

CLASSES: dict[Split, int] = {"train": 64, "validation": 16, "test": 20}

SHAPE = (84, 84, 3)


def load(config: DataConfig, split: Split) -> StoredImages:
    """Load a split. The training split takes 0.8 GB of memory, twice that while it is loaded.

    Raises:
        DataError: if its file is missing or not as it should be.
    """
    root = DataRoot.of(config, LAYOUT)
    name = f"mini-imagenet-cache-{SHORT_NAMES[split]}.pkl"
    with root.reading(name), root.file(name).open("rb") as file:
        content = safe_pickle.load(file)
        images, members = _images(root, name, content), _members(root, name, content)
    if len(members) != CLASSES[split]:
        raise root.error(f"{name} has {len(members)} classes, not {CLASSES[split]}")
    indices = np.concatenate(list(members.values()))
    if not np.array_equal(np.sort(indices), np.arange(len(images))):
        raise root.error(f"class_dict of {name} does not name each of {len(images)} pictures once")
    check_equal_counts(root, members)

    def read(index: int) -> NDArray[np.uint8]:
        return to_pixels(Image.fromarray(images[index]), config.size, config.channels)

    return store_by_class(root, members, read)


def _images(root: DataRoot, name: str, content: Any) -> NDArray[np.uint8]:
    if not isinstance(content, dict) or not {"image_data", "class_dict"} <= content.keys():
        raise root.error(f"{name} has no keys image_data and class_dict")
    images = np.asarray(content["image_data"])
    if images.dtype != np.uint8 or images.shape[1:] != SHAPE:
        raise root.error(f"image_data of {name} is {images.dtype} {list(images.shape)}")
    return images


def _members(root: DataRoot, name: str, content: dict[str, Any]) -> dict[str, NDArray[np.int64]]:
    classes = content["class_dict"]
    if not isinstance(classes, dict) or not all(isinstance(key, str) for key in classes):
        raise root.error(f"class_dict of {name} does not go from names to indices")
    return {key: np.asarray(classes[key]).astype(np.int64) for key in sorted(classes)}
