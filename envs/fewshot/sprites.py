"""Sprites: the figures and things of ProcGen's games, pasted on its backgrounds, in colour.

A data set of colour pictures that needs no download: the pictures come with the ProcGen wheel,
whose library is not opened. A class is a sprite; sprites that look alike, also mirrored or in
another colour, are one. The splits share no folder and no look-alikes.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from envs.fewshot.config import DataConfig
from envs.fewshot.distort import Strength, bordered, positions, sample
from envs.fewshot.images import DataError, Split
from envs.fewshot.lookalikes import cosines, features, first_of_kind

SIZE = 64
"""Side of a picture in pixels, as ProcGen's own."""

BOX, VIEW = 48, 64
"""A stored sprite fills a square of BOX pixels; a picture shows VIEW around its middle."""

STRENGTH = Strength(rotation=0.4, scale=0.3, shear=0.1, shift=0.15)
GAIN, OFFSET = np.float32(0.4), np.float32(60)
"""Bounds of the random factor and addition to each colour, at difficulty 1."""

SCENE, SCENE_VIEW = 128, 64
"""Side of a stored background, and of the part of it that a picture shows, give or take."""

SCENE_STRENGTH = Strength(scale=0.3, shift=0.35)

ALIKE = 0.93
"""Cosine of features (grey and opacity) above which two sprites are one class."""

LEAST_INK = 0.1
"""Sprites that cover less of their box are left out: specks and thin outlines."""

HELD_OUT = {
    "test": ("kenney/Enemies", "kenney/Items", "kenney/HUD", "kenney-abstract/Items"),
    "validation": ("kenney/Tiles", "kenney-abstract/GroundThemes"),
}
"""Folders of each split; all others are for training."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """All sprites, one a class, with the colour multiplied by the opacity."""

    pictures: NDArray[np.uint8]  # [n, BOX, BOX, 4]
    names: tuple[str, ...]  # path in the wheel's folder of pictures
    splits: NDArray[np.str_]  # [n]


class Sprites:
    """An `ImageSource` of the sprites of one split.

    Args:
        split: whose sprites.
        size: H and W of the pictures.
        channels: 1 (grey) or 3.
        difficulty: factor of the distortion and of the change of colour.
    """

    smallest = None

    def __init__(self, split: Split, size: int, channels: int, difficulty: float) -> None:
        mine = np.flatnonzero(sheet().splits == split)
        self.names = tuple(sheet().names[index] for index in mine)
        self.shape = (size, size, channels)
        self._difficulty = difficulty
        pictures = sheet().pictures[mine]
        self._bank = bordered(np.concatenate([pictures, pictures[:, :, ::-1]]))
        self._scenes = scenes()

    def draw(
        self, classes: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """See `ImageSource.draw`; no two drawings are the same."""
        size, _, channels = self.shape
        drawn = np.repeat(classes, count)
        mirrored = rng.integers(2, size=len(drawn))
        upright = np.zeros(len(drawn), np.int64)
        where = positions(upright, VIEW, size, STRENGTH, self._difficulty, rng)
        sprites = sample(self._bank, drawn + mirrored * len(self.names), where)
        where = positions(upright, SCENE_VIEW, size, SCENE_STRENGTH, 1.0, rng)
        behind = sample(self._scenes, rng.integers(len(self._scenes), size=len(drawn)), where)
        shape = (2, len(drawn), 3)
        chance = rng.uniform(-self._difficulty, self._difficulty, shape).astype(np.float32)
        pictures = _paste(sprites, 1 + GAIN * chance[0], OFFSET * chance[1], behind)
        if channels == 1:
            pictures = _grey(pictures)
        return pictures.reshape(len(classes), count, size, size, channels)


def load(config: DataConfig, split: Split) -> Sprites:
    """Load one split of the sprites.

    Raises:
        DataError: if the ProcGen wheel's pictures are not there.
    """
    return Sprites(split, config.size or SIZE, config.channels or 3, config.difficulty)


def assets() -> Path:
    """Return the folder of the ProcGen wheel's pictures, without opening its library.

    Raises:
        DataError: if it is not there.
    """
    found = importlib.util.find_spec("procgen")
    places = (found.submodule_search_locations if found else None) or []
    for place in places:
        folder = Path(place) / "data" / "assets"
        if folder.is_dir():
            return folder
    raise DataError(
        "sprites come with ProcGen's wheel, and no folder procgen/data/assets is installed: "
        "pip install procgen-mirror (Python 3.10: procgen)"
    )


@cache
def sheet() -> Sheet:
    """Load the sprites, held-out ones first: of look-alikes, the first stays.

    Raises:
        DataError: if the ProcGen wheel's pictures are not there.
    """
    folder = assets()
    found: list[tuple[Split, str, NDArray[np.uint8]]] = []
    for path in _files(backgrounds=False):
        name = path.relative_to(folder).with_suffix("").as_posix()
        picture = _sprite(path)
        if picture is not None:
            found.append((_split_of(name), name, picture))
    found.sort(key=lambda entry: ("test", "validation", "train").index(entry[0]))
    pictures = np.stack([picture for _, _, picture in found])
    kept = first_of_kind(_alike(pictures))
    return Sheet(
        pictures[kept],
        tuple(name for (_, name, _), keep in zip(found, kept, strict=True) if keep),
        np.array([split for split, _, _ in found])[kept],
    )


@cache
def scenes() -> NDArray[np.uint8]:
    """Load the backgrounds as squares with a border: uint8 [n, SCENE + 4, SCENE + 4, 4]."""
    loaded = []
    for path in _files(backgrounds=True):
        with Image.open(path) as image:
            square = ImageOps.fit(image.convert("RGB"), (SCENE, SCENE), Image.Resampling.BOX)
        loaded.append(np.asarray(square.convert("RGBA")))
    return bordered(np.stack(loaded))


def _files(backgrounds: bool) -> list[Path]:
    """Return the files of the backgrounds, or of all other pictures."""
    files = sorted(assets().rglob("*.png"))
    return [path for path in files if ("background" in path.parent.name.lower()) == backgrounds]


def _split_of(name: str) -> Split:
    if name.startswith(HELD_OUT["test"]):
        return "test"
    return "validation" if name.startswith(HELD_OUT["validation"]) else "train"


def _sprite(path: Path) -> NDArray[np.uint8] | None:
    """Read a sprite into its box; None if the picture is none, being opaque or almost empty."""
    with Image.open(path) as image:
        if "A" not in image.getbands() and "transparency" not in image.info:
            return None
        whole = image.convert("RGBA")
    opacity = whole.getchannel("A")
    if opacity.getextrema()[0] == 255 or opacity.getbbox() is None:
        return None
    fitted = ImageOps.contain(whole.crop(opacity.getbbox()), (BOX, BOX), Image.Resampling.BILINEAR)
    boxed = Image.new("RGBA", (BOX, BOX))
    boxed.paste(fitted, ((BOX - fitted.width) // 2, (BOX - fitted.height) // 2))
    picture = np.array(boxed)
    if picture[..., 3].mean() < LEAST_INK * 255:
        return None
    picture[..., :3] = (picture[..., :3].astype(np.uint16) * picture[..., 3:] + 127) // 255
    return picture


def _alike(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which sprites resemble each other, as they are or mirrored: [n, n]."""
    ours = features(np.concatenate([_grey(pictures[..., :3]), pictures[..., 3:]], axis=3))
    mirrored = np.ascontiguousarray(ours[:, :, ::-1])
    alike: NDArray[np.bool_] = np.maximum(cosines(ours, ours), cosines(ours, mirrored)) > ALIKE
    return alike


def _grey(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the brightness of colours, [..., 3] -> [..., 1] (ITU-R 601)."""
    red, green, blue = np.moveaxis(pictures.astype(np.uint16), -1, 0)
    return ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.uint8)[..., None]


def _paste(
    sprites: NDArray[np.uint8],
    gain: NDArray[np.float32],
    offset: NDArray[np.float32],
    behind: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Change the colours of sprites and lay them over what is behind them.

    Args:
        sprites: uint8 [M, pixels, 4], colours already multiplied by the opacity.
        gain: float32 [M, 3], factor of each colour.
        offset: float32 [M, 3], added to each colour.
        behind: uint8 [M, pixels, 4].

    Returns:
        uint8 [M, pixels, 3].
    """
    opacity = sprites[..., 3].astype(np.float32)
    part = opacity * np.float32(1 / 255)
    pasted = np.empty((*opacity.shape, 3), np.uint8)
    # Colour by colour: arrays whose last axis is 3 or 4 long are several times slower.
    for colour in range(3):
        plane = sprites[..., colour] * gain[:, None, colour]
        plane += part * offset[:, None, colour]
        np.clip(plane, 0, opacity, out=plane)
        plane += (1 - part) * behind[..., colour]
        pasted[..., colour] = plane + np.float32(0.5)
    return pasted
