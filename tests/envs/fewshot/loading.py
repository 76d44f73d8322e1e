"""What the tests of loaders share: loading, and checks of what comes of it."""

from __future__ import annotations

import pytest

from envs.fewshot import DataConfig, DataError, StoredImages, load_source
from tests.envs.fewshot import tiny
from tests.envs.fewshot.tiny import PICTURES, shade

WRITERS = {
    "folder": tiny.write_folder,
    "omniglot": tiny.write_omniglot,
    "miniimagenet": tiny.write_miniimagenet,
    "fc100": tiny.write_cifar,
    "tieredimagenet": tiny.write_tieredimagenet,
}


def load(name, root, split="train", **keys):
    source = load_source(DataConfig(name=name, root=str(root), **keys), split)
    assert isinstance(source, StoredImages)
    return source


def refused(name, root, *parts, split="train", **keys):
    """Check that loading fails with one line that names the folder and all `parts`."""
    with pytest.raises(DataError) as caught:
        load(name, root, split, **keys)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"root {str(root)!r}: ")
    for part in (*parts, "; expected in it: "):
        assert part in message, message


def shades(source):
    """The value of each picture, [classes][pictures]; every picture must be even."""
    flat = source.pixels.reshape(len(source.pixels), -1)
    assert (flat == flat[:, :1]).all()
    return [flat[a:b, 0].tolist() for a, b in zip(source.offsets, source.offsets[1:], strict=False)]


def wanted(labels):
    return [[shade(label, number) for number in range(PICTURES)] for label in labels]
