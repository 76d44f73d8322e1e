"""A source whose pictures say which they are: their class and their number in it."""

from __future__ import annotations

import numpy as np


class CountingSource:
    """Pictures of 1 x 3 grey pixels: `offset`, the class, the number of the picture."""

    shape = (1, 3, 1)

    def __init__(self, classes=20, pictures=6, offset=0):
        self.names = tuple(f"class {k}" for k in range(classes))
        self.smallest = pictures
        self.offset = offset

    def draw(self, classes, count, rng):
        numbers = np.stack([rng.permutation(self.smallest)[:count] for _ in classes])
        drawn = np.full((len(classes), count, *self.shape), self.offset, np.uint8)
        drawn[:, :, 0, 1, 0] = np.asarray(classes)[:, None]
        drawn[:, :, 0, 2, 0] = numbers
        return drawn
