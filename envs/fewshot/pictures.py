"""Pictures of a user's data set: decoding, resizing, and storing them by class."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from envs.fewshot.files import DataRoot
from envs.fewshot.images import StoredImages

FORMATS = ("PNG", "JPEG")
"""Pillow is asked for no others: some of its formats start programs (EPS) or decode videos."""

MODES = {1: "L", 3: "RGB"}
"""Pillow's names for grey and colour, by the number of channels."""

GREY_MODES = ("1", "L", "LA")
EIGHT_BITS = (*GREY_MODES, "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

Item = TypeVar("Item")
ItemIn = TypeVar("ItemIn", covariant=True)


class Members(Sized, Protocol[ItemIn]):
    """What a class consists of: it has a length and can be walked through, once is enough."""

    def __iter__(self) -> Iterator[ItemIn]: ...


def open_picture(source: bytes | Path) -> Image.Image:
    """Open a PNG or JPEG picture, from its bytes or from a file; its header is read, no more.

    Raises:
        OSError, ValueError: if it is no such picture, or has more than 8 bits in a channel.
    """
    image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    if image.mode not in EIGHT_BITS:
        raise ValueError(f"8 bits in a channel are needed, and it has Pillow's mode {image.mode}")
    return image


def is_grey(image: Image.Image) -> bool:
    """Whether a picture is stored without colours."""
    return image.mode in GREY_MODES


def to_pixels(image: Image.Image, size: int | None, channels: int | None) -> NDArray[np.uint8]:
    """Return a picture as uint8 [H, W, C].

    Transparent parts become white. To resize, the largest square in the middle is scaled with
    Pillow's bilinear filter, which averages when it shrinks.

    Args:
        image: of any mode with 8 bits in a channel.
        size: H and W in pixels; None: as it is.
        channels: C, 1 or 3; None: 1 if it is grey.
    """
    mode = MODES[channels or (1 if is_grey(image) else 3)]
    if "A" in image.getbands() or "transparency" in image.info:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    image = image.convert(mode)
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def store_by_class(
    root: DataRoot,
    members: Mapping[str, Members[Item]],
    read: Callable[[Item], NDArray[np.uint8]],
) -> StoredImages:
    """Read all pictures of all classes.

    Args:
        root: for errors.
        members: the classes by name, in this order; each with what stands for its pictures.
        read: returns the picture of a member, uint8 [H, W, C], the same shape for all.

    Raises:
        DataError: if a picture cannot be read or has another shape than the first, a class is
            empty, or there is no class.
    """
    if not members:
        raise root.error("there are no classes")
    sizes = [len(items) for items in members.values()]
    pixels: NDArray[np.uint8] | None = None
    row = 0
    for name, items in members.items():
        if len(items) == 0:
            raise root.error(f"class {name!r} has no pictures")
        for number, item in enumerate(items):
            label = item if isinstance(item, str) else f"picture {number} of class {name!r}"
            with root.reading(label):
                picture = read(item)
                if pixels is None:
                    pixels = np.empty((sum(sizes), *picture.shape), np.uint8)
            if picture.shape != pixels.shape[1:]:
                raise root.error(
                    f"{label} has {_shape(picture)} pixels and the first picture has "
                    f"{_shape(pixels[0])}: set size to make them equal"
                )
            pixels[row] = picture
            row += 1
    assert pixels is not None
    return StoredImages(pixels, np.cumsum([0, *sizes], dtype=np.int64), tuple(members))


def check_equal_counts(root: DataRoot, members: Mapping[str, Sized]) -> None:
    """Check that all classes have as many pictures.

    Raises:
        DataError: that names the class with the fewest.
    """
    counts = {name: len(items) for name, items in members.items()}
    least, most = min(counts, key=counts.__getitem__), max(counts.values())
    if counts[least] < most:
        raise root.error(f"class {least!r} has {counts[least]} pictures and others have {most}")


def _shape(picture: NDArray[np.uint8]) -> str:
    return "x".join(map(str, picture.shape))
