"""Glyphs: characters of the fonts that come with matplotlib, drawn with random distortions.

A data set like Omniglot that needs no download. A picture of a class is its character in a random
face, distorted anew each time. As is usual for Omniglot, a character turned by a quarter is a class
of its own (unless it then looks like another). The splits share no script and no look-alikes;
`glyphs.yaml` lists them, and `glyph_classes` says how they were chosen.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from envs.fewshot.config import DataConfig
from envs.fewshot.distort import Strength, bordered, positions, sample
from envs.fewshot.images import DataError, Split, turned_name

SIZE = 28
"""Side of a picture in pixels, as is usual for Omniglot."""

BOX, VIEW = 40, 48
"""A stored character fills a square of BOX pixels; a picture shows VIEW around its middle."""

POINTS = 64
"""Font size at which characters are rendered before they are scaled to the box."""

STRENGTH = Strength(rotation=0.22, scale=0.15, shear=0.25, shift=0.06, elastic=0.0425)

FACES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
)


@dataclass(frozen=True, eq=False)
class Characters:
    """Rendered characters: `pictures[offsets[k] : offsets[k + 1]]` are the faces of number k."""

    pictures: NDArray[np.uint8]  # [n, BOX, BOX, 1], ink is bright
    offsets: NDArray[np.int64]  # [characters + 1]


class Glyphs:
    """An `ImageSource` of the characters of one split.

    Args:
        split: whose characters.
        size: H and W of the pictures.
        channels: 1, or 3 for three times the same.
        difficulty: factor of the distortion.
    """

    smallest = None

    def __init__(self, split: Split, size: int, channels: int, difficulty: float) -> None:
        listed = listed_classes(split)
        points = list(listed)
        self._bank, self._offsets = _bank(split)
        self._character = np.repeat(np.arange(len(points)), [len(t) for t in listed.values()])
        self._turn = np.array([turn for turns in listed.values() for turn in turns], np.int64)
        self.names = tuple(
            turned_name(f"U+{point:04X} {unicodedata.name(chr(point))}", turn)
            for point, turns in listed.items()
            for turn in turns
        )
        self.shape = (size, size, channels)
        self._difficulty = difficulty

    def draw(
        self, classes: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """See `ImageSource.draw`; no two drawings are the same."""
        size, _, channels = self.shape
        drawn = np.repeat(classes, count)
        starts, ends = self._offsets[self._character[drawn] + np.array([[0], [1]])]
        face = rng.integers(starts, ends)
        where = positions(self._turn[drawn], VIEW, size, STRENGTH, self._difficulty, rng)
        pictures = sample(self._bank, face, where).reshape(len(classes), count, size, size, 1)
        return np.repeat(pictures, channels, axis=4)


def load(config: DataConfig, split: Split) -> Glyphs:
    """Load one split of the glyphs.

    Raises:
        DataError: if matplotlib's fonts are not there or lack a listed character.
    """
    return Glyphs(split, config.size or SIZE, config.channels or 1, config.difficulty)


@cache
def listed_classes(split: Split) -> dict[int, tuple[int, ...]]:
    """Return the code points of a split, and for each the quarter turns that are classes."""
    text = resources.files("envs.fewshot").joinpath("glyphs.yaml").read_text("ascii")
    listed: dict[int, tuple[int, ...]] = {}
    for entries in yaml.safe_load(text)[split].values():
        for entry in entries.split():
            point, _, turns = entry.partition(":")
            listed[int(point, 16)] = tuple(int(turn) for turn in turns or "0123")
    return listed


def render(points: Iterable[int]) -> dict[int, list[NDArray[np.uint8]]]:
    """Draw characters, each in every face that has it: uint8 [BOX, BOX].

    Raises:
        DataError: if a font file is not there.
    """
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
    from matplotlib import get_data_path

    drawn: dict[int, list[NDArray[np.uint8]]] = {point: [] for point in points}
    folder = Path(get_data_path()) / "fonts" / "ttf"
    for face in FACES:
        path = folder / f"{face}.ttf"
        if not path.is_file():
            raise DataError(f"glyphs are drawn with matplotlib's fonts, and {path} is not there")
        present = TTFont(path, lazy=True).getBestCmap()
        font = ImageFont.truetype(path, POINTS, layout_engine=ImageFont.Layout.BASIC)
        for point in drawn:
            picture = _fitted(chr(point), font) if point in present else None
            if picture is not None:
                drawn[point].append(picture)
    return drawn


def _fitted(character: str, font: ImageFont.FreeTypeFont) -> NDArray[np.uint8] | None:
    """Draw a character scaled to fill the box; None if there is no ink."""
    # Its bounds count the space around a character too, so its ink is looked for in the picture.
    left, top, right, bottom = font.getbbox(character)
    ink = Image.new("L", (max(1, int(right - left)), max(1, int(bottom - top))))
    ImageDraw.Draw(ink).text((-left, -top), character, fill=255, font=font)
    bounds = ink.getbbox()
    if bounds is None:
        return None
    ink = ink.crop(bounds)
    factor = BOX / max(ink.size)
    wide, tall = (max(1, round(side * factor)) for side in ink.size)
    picture = Image.new("L", (BOX, BOX))
    scaled = ink.resize((wide, tall), Image.Resampling.BILINEAR)
    picture.paste(scaled, ((BOX - wide) // 2, (BOX - tall) // 2))
    return np.asarray(picture)


@cache
def characters(split: Split) -> Characters:
    """Render the characters of a split; kept, since it takes a second or two.

    Raises:
        DataError: if matplotlib's fonts are not there or lack a listed character.
    """
    drawn = render(listed_classes(split))
    for point, pictures in drawn.items():
        if not pictures:
            raise DataError(f"matplotlib's fonts lack U+{point:04X}, which glyphs.yaml lists")
    sizes = [len(pictures) for pictures in drawn.values()]
    stacked = np.stack([picture for pictures in drawn.values() for picture in pictures])
    return Characters(stacked[..., None], np.append(0, np.cumsum(sizes)).astype(np.int64))


@cache
def _bank(split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return what drawings are read from, with its border, and the offsets."""
    rendered = characters(split)
    return bordered(rendered.pictures), rendered.offsets
