"""Look-alikes: pictures too similar to be two classes, or to be in two splits.

Two pictures are compared by the cosine of their features, each a picture reduced to cells of 2 x 2
pixels and to 64 levels. These are so small whole numbers that float32 adds their products exactly:
what is a look-alike is the same on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.fewshot.images import TURNS

CELL = 2
LEVELS = 64


def features(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Reduce pictures [n, S, S, C], S being even, to features [n, S / 2, S / 2, C]."""
    count, height, width, channels = pictures.shape
    cells = pictures.reshape(count, height // CELL, CELL, width // CELL, CELL, channels)
    means = cells.mean(axis=(2, 4), dtype=np.float32)
    return np.floor(means * np.float32(LEVELS / 256))


def cosines(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine of each of n features with each of m, [n, m]."""
    ours, theirs = (side.reshape(len(side), -1) for side in (ours, theirs))
    lengths = [np.sqrt(np.square(side).sum(axis=1)).clip(1) for side in (ours, theirs)]
    products: NDArray[np.float32] = ours @ theirs.T
    return products / lengths[0][:, None] / lengths[1]


def first_of_kind(alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep each picture that resembles none kept before it.

    Args:
        alike: bool [n, n], whether two pictures resemble each other.

    Returns:
        bool [n].
    """
    kept = np.zeros(len(alike), np.bool_)
    for index, row in enumerate(alike):
        kept[index] = not (row & kept).any()
    return kept


def alike_at_a_turn(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], threshold: float
) -> NDArray[np.bool_]:
    """Return, for each of n features, whether it resembles one of m at any quarter turn, [n]."""
    found = np.zeros(len(ours), np.bool_)
    for turn in range(TURNS):
        turned = np.ascontiguousarray(np.rot90(theirs, turn, axes=(1, 2)))
        for start in range(0, len(ours), 1024):
            part = slice(start, start + 1024)
            found[part] |= (cosines(ours[part], turned) > threshold).any(axis=1)
    return found
