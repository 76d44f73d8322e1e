"""Labelled pictures: what every data set of few-shot learning gives to the episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation", "test"]

TURNS = 4
"""Quarter turns in a circle."""


class DataError(ValueError):
    """Data are missing or not as they should be: one line that says what is expected where."""


class ImageSource(Protocol):
    """The classes of one split of a data set, and a way to draw pictures of them.

    H, W: height and width in pixels; C: channels, 1 (grey) or 3 (RGB).
    """

    @property
    def names(self) -> Sequence[str]:
        """The names of the classes; a class is its index in them."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every picture."""
        ...

    @property
    def smallest(self) -> int | None:
        """Pictures in the smallest class; None if each picture is drawn anew, without end."""
        ...

    def draw(
        self, classes: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Draw `count` pictures of each class, without replacement: [M, count, H, W, C].

        Args:
            classes: M classes, int64 [M]. One that is there twice is drawn twice, independently.
            count: at least 1.
            rng: of all chance in it.

        Raises:
            DataError: if a class has fewer pictures.
        """
        ...


@dataclass(frozen=True, eq=False)
class StoredImages:
    """An `ImageSource` whose pictures are all in memory.

    Attributes:
        pixels: uint8 [n, H, W, C], sorted by class.
        offsets: int64 [classes + 1]; class k is `pixels[offsets[k] : offsets[k + 1]]`.
        names: of the classes.

    Raises:
        DataError: if these do not fit together, or a class is empty.
    """

    pixels: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        pixels, offsets = self.pixels, self.offsets
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
            raise DataError(
                f"pictures are uint8 [n, H, W, 1 or 3], not {pixels.dtype} {list(pixels.shape)}"
            )
        if offsets.dtype != np.int64 or offsets.shape != (len(self.names) + 1,):
            raise DataError(
                f"offsets of {len(self.names)} classes are int64 [{len(self.names) + 1}], "
                f"not {offsets.dtype} {list(offsets.shape)}"
            )
        sizes = np.diff(offsets)
        if (sizes <= 0).any():
            raise DataError(f"class {self.names[int(np.argmax(sizes <= 0))]!r} has no pictures")
        if offsets[0] != 0 or offsets[-1] != len(pixels):
            raise DataError(
                f"offsets go from 0 to {len(pixels)}, the number of pictures, "
                f"not from {offsets[0]} to {offsets[-1]}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every picture."""
        _, height, width, channels = self.pixels.shape
        return height, width, channels

    @property
    def smallest(self) -> int | None:
        """Pictures in the smallest class; None without classes."""
        return int(np.diff(self.offsets).min()) if self.names else None

    def draw(
        self, classes: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """See `ImageSource.draw`."""
        sizes = np.diff(self.offsets)[classes]
        if len(classes) and sizes.min() < count:
            least = int(np.argmin(sizes))
            raise DataError(
                f"class {self.names[classes[least]]!r} has {sizes[least]} pictures, "
                f"and {count} are needed"
            )
        # The `count` smallest of a class's random keys: a random sample in a random order.
        keys = rng.random((len(classes), int(sizes.max(initial=0))))
        keys[np.arange(keys.shape[1]) >= sizes[:, None]] = np.inf
        chosen = np.argsort(keys, axis=1)[:, :count]
        return self.pixels[self.offsets[classes][:, None] + chosen]

    def quarter_turns(self) -> StoredImages:
        """Return these classes and each of them turned by 90, 180 and 270 degrees.

        The usual augmentation of Omniglot (Santoro et al. 2016): a turned class is another class,
        so there are four times as many.

        Raises:
            DataError: if the pictures are not square.
        """
        height, width, _ = self.shape
        if height != width:
            raise DataError(f"only square pictures can be turned, not {height}x{width}")
        turned = [np.rot90(self.pixels, turn, axes=(1, 2)) for turn in range(TURNS)]
        starts = [self.offsets[:-1] + turn * len(self.pixels) for turn in range(TURNS)]
        return StoredImages(
            pixels=np.concatenate(turned),
            offsets=np.append(np.concatenate(starts), TURNS * len(self.pixels)).astype(np.int64),
            names=tuple(turned_name(name, turn) for turn in range(TURNS) for name in self.names),
        )


def turned_name(name: str, turn: int) -> str:
    """Return the name of a class whose pictures are turned by `turn` quarter turns."""
    return f"{name} turned {90 * turn}" if turn else name


def contact_sheet(
    source: ImageSource, classes: Sequence[int], per_class: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw pictures of some classes side by side, to be looked at: a row for each class.

    Returns:
        uint8 [rows * (H + 1) + 1, per_class * (W + 1) + 1, C], with grey lines between pictures.
    """
    pictures = source.draw(np.asarray(classes, np.int64), per_class, rng)
    rows, columns, height, width, channels = pictures.shape
    framed = np.full((rows, columns, height + 1, width + 1, channels), 96, np.uint8)
    framed[:, :, :height, :width] = pictures
    sheet = framed.transpose(0, 2, 1, 3, 4).reshape(
        rows * (height + 1), columns * (width + 1), channels
    )
    return np.pad(sheet, ((1, 0), (1, 0), (0, 0)), constant_values=96)
