"""Sprites: no look-alikes between the splits, what is drawn, and what is refused."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from envs.fewshot import DataConfig, DataError, load_source
from envs.fewshot.sprites import HELD_OUT, _paste, assets, scenes, sheet

SPLITS = ("train", "validation", "test")


def source(split="test", **values):
    return load_source(DataConfig(name="sprites", **values), split)


def test_the_splits_share_no_folder():
    folders = [{name.rsplit("/", 1)[0] for name in source(split).names} for split in SPLITS]
    assert len(set.union(*folders)) == sum(map(len, folders))
    assert folders[2] == set(HELD_OUT["test"])
    assert [len(source(split).names) for split in SPLITS] == [195, 34, 42]


def test_no_two_classes_look_alike_also_mirrored():
    pictures = sheet().pictures.astype(float)
    grey = pictures[..., :3] @ [0.299, 0.587, 0.114]
    both = np.stack([grey, pictures[..., 3]], axis=1)
    cells = both.reshape(len(both), 2, 24, 2, 24, 2).mean(axis=(3, 5))

    def unit(vectors):
        vectors = vectors.reshape(len(vectors), -1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    mirrored = unit(cells) @ unit(cells[..., ::-1]).T
    as_it_is = unit(cells) @ unit(cells).T
    np.fill_diagonal(as_it_is, 0)
    np.fill_diagonal(mirrored, 0)
    # The features are rounded to 64 levels, which moves a cosine a little.
    assert max(as_it_is.max(), mirrored.max()) < 0.94


def test_drawings_are_all_different_and_the_same_for_a_seed():
    mine = source()
    assert mine.shape == (64, 64, 3) and mine.smallest is None
    classes = np.arange(0, 40, 4)
    once, again, other = (mine.draw(classes, 3, np.random.default_rng(s)) for s in (1, 1, 2))
    assert once.shape == (10, 3, 64, 64, 3) and once.dtype == np.uint8
    np.testing.assert_array_equal(once, again)
    drawn = [*once.reshape(30, -1), *other.reshape(30, -1)]
    assert len({picture.tobytes() for picture in drawn}) == 60


def test_without_difficulty_a_sprite_is_pasted_as_it_is():
    mine = source(difficulty=0.0)
    drawn = mine.draw(np.array([3]), 40, np.random.default_rng(0))[0]
    sprite = np.pad(sheet().pictures[sheet().splits == "test"][3], ((8, 8), (8, 8), (0, 0)))
    opaque = sprite[..., 3] == 255
    upright = [np.array_equal(p[opaque], sprite[opaque][:, :3]) for p in drawn]
    mirrored = [np.array_equal(p[:, ::-1][opaque], sprite[opaque][:, :3]) for p in drawn]
    assert all(a != b for a, b in zip(upright, mirrored, strict=True))
    assert 10 < sum(upright) < 30
    # Where there is no sprite, the backgrounds differ.
    outside = drawn[:, 0, 0]
    assert len(np.unique(outside, axis=0)) > 20


def test_pasting_against_pixels_by_hand():
    # Opacity 51 of 255 is a fifth; the stored colour is already multiplied by it.
    sprites = np.array([[[40, 10, 51, 51], [200, 100, 0, 255]]], np.uint8)
    behind = np.array([[[100, 50, 200, 255], [1, 2, 3, 255]]], np.uint8)
    gain = np.array([[0.5, 1.0, 2.0]], np.float32)
    offset = np.array([[0.0, 100.0, -255.0]], np.float32)
    pasted = _paste(sprites, gain, offset, behind)
    # 40 / 2 + .8 * 100; 10 + 100 / 5 + .8 * 50; 102 - 51 (at most the opacity) + .8 * 200.
    assert pasted[0, 0].tolist() == [100, 70, 211]
    assert pasted[0, 1].tolist() == [100, 200, 0]


def test_size_and_channels():
    grey = source(size=32, channels=1)
    drawn = grey.draw(np.array([3]), 2, np.random.default_rng(0))
    assert grey.shape == drawn.shape[2:] == (32, 32, 1)
    colour = source(size=32).draw(np.array([3]), 2, np.random.default_rng(0))
    expected = colour @ np.array([0.299, 0.587, 0.114])
    assert abs(drawn[..., 0] - expected).max() <= 1.5


def test_backgrounds_fill_the_picture():
    assert scenes().shape == (98, 132, 132, 4)
    mine = source(difficulty=0.0)
    # Nothing of what lies outside a background, which is black, is seen at the edge.
    sides = mine.draw(np.arange(40), 5, np.random.default_rng(0))[:, :, :, [0, -1]]
    assert (sides.max(axis=(2, 3, 4)) > 0).mean() > 0.9


def test_the_library_of_the_games_stays_closed():
    code = (
        "import sys; from envs.fewshot import sprites; sprites.assets(); "
        "sys.exit('procgen' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install procgen-mirror"):
        assets()
