"""Random affine maps and smooth displacements of many small pictures at once.

Positions are sums of binary fractions without rounding, and pixels are blended as whole numbers:
the same random numbers give the same pictures on every machine, whatever its matrix library does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BORDER = 2
"""Empty pixels around a stored picture, so that its outside needs no case of its own."""

GRID = 4
"""A smooth displacement is a GRID x GRID field, enlarged bicubically."""

AFFINE_UNIT, FIELD_UNIT, BASIS_UNIT = 2.0**-16, 2.0**-7, 2.0**-9
"""A position is a sum of multiples of 2**-16 below 2**7, which float32 adds without rounding."""

PARTS = np.uint32(16)
"""Pictures are read at positions rounded to 1 / PARTS of a pixel."""

LANES, HALF = np.uint32(0x00FF00FF), np.uint32(0x00800080)
"""Every other byte of a texel of four channels, and what rounds their weighted sums."""

SHIFTS = (np.uint32(0), np.uint32(8))
"""Bits by which the first and the second of every two bytes are moved into the lanes."""

BLOCK = 2**15
"""Pixels that are read together, so that what is in between stays in a core's cache."""


@dataclass(frozen=True)
class Strength:
    """Bounds of the random distortion; each is scaled by a data set's difficulty."""

    rotation: float = 0.0
    """Radians, either way."""
    scale: float = 0.0
    """Part of the height and, on its own, of the width, either way."""
    shear: float = 0.0
    shift: float = 0.0
    """Part of the picture's size, either way, vertically and horizontally."""
    elastic: float = 0.0
    """Standard deviation of the smooth displacement, as a part of the picture's size."""


def bordered(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add the empty border that `sample` needs, [n, S, S, C] -> [n, S + 4, S + 4, C]."""
    around = (BORDER, BORDER)
    return np.pad(pictures, ((0, 0), around, around, (0, 0)))


def positions(
    turns: NDArray[np.int64],
    view: float,
    size: int,
    strength: Strength,
    difficulty: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Draw where in its source each pixel of M distorted pictures lies.

    Args:
        turns: int64 [M], quarter turns of the picture, anticlockwise as `numpy.rot90`.
        view: side of what a picture shows, in source pixels.
        size: side of the picture in its own pixels.
        strength: of the distortion at difficulty 1.
        difficulty: its factor, 0 to 2.
        rng: of all chance in it.

    Returns:
        float32 [M, 2, size * size], (y, x) in source pixels from the middle of the source.
    """
    count = len(turns)
    rows = np.zeros((count, 2, 3 + GRID * GRID))
    chance = rng.uniform(-difficulty, difficulty, (count, 6))
    # Basis vectors count half pixels of the picture: twice the steps that this factor is for.
    rows[:, :, :2] = _linear(strength, chance[:, :4]) * (view / (2 * size))
    rows[:, :, 2] = chance[:, 4:] * (strength.shift * view)
    rows[:, :, :3] = _quantise(rows[:, :, :3], AFFINE_UNIT)
    if strength.elastic:
        field = rng.standard_normal((count, 2, GRID * GRID))
        rows[:, :, 3:] = _quantise(field * (strength.elastic * difficulty * view), FIELD_UNIT)
    turned = _turn(rows, turns).astype(np.float32)
    exact: NDArray[np.float32] = turned.reshape(count * 2, -1) @ _basis(size)
    return exact.reshape(count, 2, size * size)


def sample(
    bank: NDArray[np.uint8], index: NDArray[np.int64], where: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Read pictures at fractional positions, bilinearly; what lies outside is 0.

    Args:
        bank: uint8 [n, P, P, C] with its border, C being 1 or 4.
        index: int64 [M], which of the n.
        where: float32 [M, 2, size * size], from `positions`.

    Returns:
        uint8 [M, size * size, C].
    """
    _, side, _, channels = bank.shape
    texels = bank.reshape(-1) if channels == 1 else bank.reshape(-1).view(np.uint32)
    count, _, pixels = where.shape
    read = np.empty((count, pixels), texels.dtype)
    step = max(1, BLOCK // pixels)
    for start in range(0, count, step):
        block = slice(start, start + step)
        # In 1 / PARTS of a pixel, from the bank's corner; `side - 2` still has a right neighbour.
        middle = np.float32((side - 1) / 2)
        steps = np.clip((where[block] + middle) * PARTS + np.float32(0.5), 0, (side - 2) * PARTS)
        whole, part = np.divmod(steps.astype(np.uint32), PARTS)
        first = index[block, None] * (side * side) + whole[:, 0] * side + whole[:, 1]
        read[block] = _blend(texels, first, side, part)
    return read.view(np.uint8).reshape(count, pixels, channels)


def _blend(
    texels: NDArray[Any], first: NDArray[np.int64], side: int, part: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    """Weigh each texel with its right, lower and lower right neighbour.

    The four weights sum up to 256, so a texel's bytes do not meet if every other one is taken.
    """
    lower, right = part[:, 0], part[:, 1]
    weights = {
        0: (PARTS - lower) * (PARTS - right),
        1: (PARTS - lower) * right,
        side: lower * (PARTS - right),
        side + 1: lower * right,
    }
    corners = {
        offset: texels[offset:].take(first, mode="clip").astype(np.uint32, copy=False)
        for offset in weights
    }
    blended = np.zeros(first.shape, np.uint32)
    for shift in SHIFTS[: (texels.itemsize + 1) // 2]:
        total = np.full(first.shape, HALF, np.uint32)
        for offset, weight in weights.items():
            total += ((corners[offset] >> shift) & LANES) * weight
        blended |= ((total >> SHIFTS[1]) & LANES) << shift
    return blended


def _linear(strength: Strength, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rotation x shear x scale, [M, 2, 2], from four numbers each in -1 to 1."""
    angle = chance[:, 0] * strength.rotation
    shear = chance[:, 1] * strength.shear
    tall, wide = 1 + chance[:, 2] * strength.scale, 1 + chance[:, 3] * strength.scale
    cos, sin = np.cos(angle), np.sin(angle)
    first = np.stack([cos * tall, (cos * shear - sin) * wide], axis=-1)
    second = np.stack([sin * tall, (sin * shear + cos) * wide], axis=-1)
    return np.stack([first, second], axis=1)


def _turn(rows: NDArray[np.float64], turns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Turn (y, x) in the source, so that the picture appears turned anticlockwise."""
    quarter = np.array([[0, 1], [-1, 0]])
    matrices = np.stack([np.linalg.matrix_power(quarter, turn) for turn in range(4)])[turns]
    turned: NDArray[np.float64] = matrices @ rows
    return turned


@cache
def _basis(size: int) -> NDArray[np.float32]:
    """Return what a row of coefficients weighs: y, x, 1 and the grid, [19, size * size]."""
    steps = np.arange(size) * 2.0 + 1 - size
    y, x = np.meshgrid(steps, steps, indexing="ij")
    # Enlarging the columns of the identity gives the weight of each grid point on each pixel.
    grid = Image.fromarray(np.eye(GRID, dtype=np.float32))
    line = np.asarray(grid.resize((GRID, size), Image.Resampling.BICUBIC))
    smooth = np.einsum("yi,xj->ijyx", line, line).reshape(GRID * GRID, size, size)
    basis = np.stack([y, x, np.ones_like(y), *_quantise(smooth, BASIS_UNIT)])
    return basis.reshape(len(basis), -1).astype(np.float32)


def _quantise(values: NDArray[np.floating], unit: float) -> NDArray[np.float64]:
    """Round to multiples of a power of two."""
    return np.rint(values / unit) * unit
