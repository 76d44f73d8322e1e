"""Stored pictures: what is drawn, what is refused, quarter turns; the contact sheet."""

from __future__ import annotations

import numpy as np
import pytest

from envs.fewshot import DataConfig, DataError, StoredImages, contact_sheet, load_source


def stored(sizes=(2, 5, 3), side=2):
    """Classes of `sizes` pictures; every pixel of picture n of class k is 16 * k + n."""
    values = [16 * k + n for k, size in enumerate(sizes) for n in range(size)]
    pixels = np.broadcast_to(
        np.array(values, np.uint8)[:, None, None, None], (len(values), side, side, 1)
    )
    offsets = np.append(0, np.cumsum(sizes)).astype(np.int64)
    return StoredImages(pixels.copy(), offsets, tuple(f"k{k}" for k in range(len(sizes))))


def test_draws_without_replacement_from_the_class():
    drawn = stored().draw(np.array([1, 0, 2, 1]), 2, np.random.default_rng(0))
    assert drawn.shape == (4, 2, 2, 2, 1) and drawn.dtype == np.uint8
    for row, k in zip(drawn, [1, 0, 2, 1], strict=True):
        numbers = row[:, 0, 0, 0].astype(int) - 16 * k
        assert len(set(numbers)) == 2
        assert all(0 <= number < (2, 5, 3)[k] for number in numbers)


def test_draws_every_ordered_pair_equally_often():
    drawn = stored().draw(np.full(6000, 2), 2, np.random.default_rng(0))[:, :, 0, 0, 0] - 32
    pairs, counts = np.unique(drawn[:, 0] * 3 + drawn[:, 1], return_counts=True)
    assert pairs.tolist() == [1, 2, 3, 5, 6, 7]
    assert (abs(counts - 1000) < 5 * np.sqrt(1000)).all()


def test_a_class_with_too_few_pictures_is_named():
    with pytest.raises(DataError, match="class 'k0' has 2 pictures, and 3 are needed"):
        stored().draw(np.array([1, 0]), 3, np.random.default_rng(0))
    assert stored().smallest == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixels": np.zeros((10, 2, 2), np.uint8)}, r"uint8 \[n, H, W, 1 or 3\]"),
        ({"pixels": np.zeros((10, 2, 2, 1))}, "not float64"),
        ({"pixels": np.zeros((9, 2, 2, 1), np.uint8)}, "from 0 to 9, .* not from 0 to 10"),
        ({"offsets": np.array([0, 2, 7])}, r"offsets of 3 classes are int64 \[4\]"),
        ({"offsets": np.array([0, 2, 2, 10])}, "class 'k1' has no pictures"),
    ],
)
def test_refuses_what_does_not_fit_together(change, message):
    good = stored()
    parts = {"pixels": good.pixels, "offsets": good.offsets, "names": good.names}
    with pytest.raises(DataError, match=message):
        StoredImages(**{**parts, **change})


def test_quarter_turns_are_classes():
    pixels = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], np.uint8)[..., None]
    turned = StoredImages(pixels, np.array([0, 1, 2]), ("a", "b")).quarter_turns()
    assert len(turned.names) == 8
    assert turned.names[1] == "b" and turned.names[2] == "a turned 90"
    expected = {0: [[1, 2], [3, 4]], 2: [[2, 4], [1, 3]], 4: [[4, 3], [2, 1]], 7: [[7, 5], [8, 6]]}
    for k, picture in expected.items():
        drawn = turned.draw(np.array([k]), 1, np.random.default_rng(0))
        assert drawn[0, 0, :, :, 0].tolist() == picture


def test_only_squares_are_turned():
    flat = StoredImages(np.zeros((1, 2, 3, 1), np.uint8), np.array([0, 1]), ("a",))
    with pytest.raises(DataError, match="not 2x3"):
        flat.quarter_turns()


def test_contact_sheet_has_a_row_for_each_class():
    sheet = contact_sheet(stored(), [2, 0], 2, np.random.default_rng(0))
    assert sheet.shape == (7, 7, 1)
    assert set(sheet[1, [1, 2, 4, 5], 0]) < {32, 33, 34}
    assert set(sheet[4, [1, 4], 0]) == {0, 1}
    assert (sheet[::3] == 96).all() and (sheet[:, ::3] == 96).all()


def test_a_name_alone_is_a_data_set():
    source = load_source(DataConfig.model_validate("glyphs"), "validation")
    assert source.shape == (28, 28, 1)
