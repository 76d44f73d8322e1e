"""Distorted pictures against single pixels computed by hand, and the same bits on every machine."""

from __future__ import annotations

import zlib
from fractions import Fraction

import numpy as np
import pytest

from envs.fewshot.distort import Strength, bordered, positions, sample

FULL = Strength(rotation=0.3, scale=0.2, shear=0.2, shift=0.1, elastic=0.05)


def noise(count=3, side=12, channels=1):
    rng = np.random.default_rng(7)
    return rng.integers(256, size=(count, side, side, channels), dtype=np.uint8)


def still(count, side, *, turn=0, difficulty=0.0, strength=FULL, seed=0, view=None, size=None):
    turns = np.full(count, turn)
    rng = np.random.default_rng(seed)
    return positions(turns, view or side, size or side, strength, difficulty, rng)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("turn", range(4))
def test_without_difficulty_only_the_turn_is_seen(channels, turn):
    pictures = noise(channels=channels)
    read = sample(bordered(pictures), np.array([2, 0]), still(2, 12, turn=turn))
    expected = np.rot90(pictures[[2, 0]], turn, axes=(1, 2))
    np.testing.assert_array_equal(read.reshape(2, 12, 12, channels), expected)


@pytest.mark.parametrize("channels", [1, 4])
def test_pixels_between_pixels_are_weighed_by_distance(channels):
    pictures = noise(channels=channels)
    # Sixteenths of a pixel, which are read without rounding; many lie outside.
    rng = np.random.default_rng(1)
    where = (rng.integers(-16 * 9, 16 * 9, size=(3, 2, 144)) / 16).astype(np.float32)
    read = sample(bordered(pictures), np.arange(3), where)
    padded = np.pad(pictures, ((0, 0), (20, 20), (20, 20), (0, 0))).astype(float)
    for m, y, x, pixel in ((m, *where[m, :, n], read[m, n]) for m in range(3) for n in range(144)):
        down, right = (y + 5.5) % 1, (x + 5.5) % 1
        row, column = int(np.floor(y + 5.5)) + 20, int(np.floor(x + 5.5)) + 20
        window = padded[m, row : row + 2, column : column + 2]
        weights = np.outer([1 - down, down], [1 - right, right])
        expected = np.floor((window * weights[..., None]).sum(axis=(0, 1)) + 0.5)
        assert pixel.tolist() == expected.tolist()


def test_each_bound_is_kept_and_reached():
    corner = np.array([-6.0, -6.0]) * 27 / 28  # the first of 28 pixels of a view of 12

    def reach(**bound):
        where = still(4000, 12, size=28, difficulty=1.0, strength=Strength(**bound))
        return where[:, :, 0] - corner

    shift = reach(shift=0.1)
    assert abs(shift).max(axis=0).min() > 1.19 and abs(shift).max() <= 1.2001
    scale = reach(scale=0.2) / corner
    assert abs(scale).max(axis=0).min() > 0.199 and abs(scale).max() <= 0.2001
    y, x = (reach(rotation=0.3) + corner).T
    angle = np.arctan2(y, x) - np.arctan2(-1, -1)
    np.testing.assert_allclose(np.hypot(y, x), np.hypot(*corner), atol=1e-3)
    assert 0.299 < angle.max() <= 0.3001 and -0.3001 <= angle.min() < -0.299


def test_displacement_has_the_configured_size_and_is_smooth():
    where = still(2000, 12, size=24, difficulty=1.0, strength=Strength(elastic=0.05))
    moved = (where - still(1, 12, size=24)).reshape(2000, 2, 24, 24)
    # At a grid point of its inside the displacement is about the normal number there.
    assert moved[:, :, 9, 9].std() == pytest.approx(0.05 * 12, rel=0.15)
    assert abs(moved.mean()) < 0.02
    assert abs(np.diff(moved, axis=3)).mean() < 0.3 * abs(moved).mean()


def test_difficulty_scales_the_distortion():
    easy, hard = (still(100, 12, difficulty=d) - still(1, 12) for d in (0.5, 1.0))
    assert abs(easy).mean() == pytest.approx(abs(hard).mean() / 2, rel=0.1)


def test_positions_are_exact_sums():
    """The matrix product rounds nothing, in whatever order it adds."""
    strength = Strength(rotation=0.3, scale=0.2, shear=0.2, shift=0.1, elastic=0.1)
    where = still(50, 64, size=28, difficulty=2.0, strength=strength)
    for value in where[:, :, ::97].reshape(-1):
        assert Fraction(float(value)).limit_denominator(2**16) == Fraction(float(value))
    assert abs(where).max() < 2**7


def test_same_bits_on_every_machine():
    where = still(20, 12, size=28, turn=1, difficulty=1.0, seed=3)
    grey = sample(bordered(noise()), np.arange(20) % 3, where)
    colour = sample(bordered(noise(channels=4)), np.arange(20) % 3, where)
    assert (zlib.crc32(grey.tobytes()), zlib.crc32(colour.tobytes())) == (
        3640823039,
        1179961384,
    )
