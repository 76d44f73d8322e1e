"""Write pictures as an animated GIF of modest size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from envs import Picture
from launch.report.lettering import BACKGROUND, BLUE, GREEN, GREY, RED, WHITE
from launch.report.timeline import strip_scale

SCALE = 0.6  # of the width and height: letters can just be read
EVERY = 2  # one of so many pictures is shown
COLOURS = 128
MARKS = (BACKGROUND, BLUE, GREEN, GREY, RED, WHITE)
CENTISECONDS = 13  # for a picture: two steps at about 15 a second; the format knows no less


def write_gif(
    pictures: Iterator[Picture], file: Path, advance: Callable[[], None] = lambda: None
) -> None:
    """Write every second picture [H, W, 3], smaller and in few colours, as a GIF that repeats.

    Args:
        pictures: one at least, all of one size.
        file: its name must end in .gif.
        advance: called after every picture.

    Raises:
        OSError: if the file cannot be written.
    """

    def counted() -> Iterator[Picture]:
        for picture in pictures:
            yield picture
            advance()

    small = [_smaller(picture) for picture in islice(counted(), 0, None, EVERY)]
    palette = _palette(small)
    # Without dithering what stands still is the same in all pictures, and takes no room.
    shown = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in small]
    first, *others = shown
    first.save(
        file,
        "GIF",
        save_all=True,
        append_images=others,
        duration=10 * CENTISECONDS,
        loop=0,
    )


def _smaller(picture: Picture) -> Image.Image:
    image = Image.fromarray(picture)
    width, height = (round(SCALE * side) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _palette(images: list[Image.Image]) -> Image.Image:
    """Return the colours that go with all images, as an image.

    A game has many colours. Those of letters and marks are few pixels, and are kept all the same.
    """
    some = images[:: max(1, len(images) // 8)]
    beside = np.concatenate([np.asarray(image) for image in some], axis=1)
    kept = [*MARKS, *strip_scale(16)]
    colours = Image.fromarray(beside).quantize(COLOURS - len(kept)).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(part for colour in kept for part in colour), *colours])
    return palette
