"""Glyphs: no look-alikes between the splits, what is drawn, and what is refused."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from envs.fewshot import DataConfig, DataError, load_source
from envs.fewshot.glyph_classes import glyphs_yaml
from envs.fewshot.glyphs import characters, listed_classes, render

LOOKALIKE = 0.93


def unit(pictures):
    """Return each picture, blurred to a quarter of its pixels, as a vector of length 1."""
    count, side = pictures.shape[:2]
    cells = pictures.reshape(count, side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    vectors = cells.reshape(count, -1).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def most_alike(held_out):
    """Return the highest cosine of a training face with a face of a held-out split."""
    train = unit(characters("train").pictures[..., 0])
    faces = characters(held_out).pictures[..., 0]
    turned = np.concatenate([unit(np.rot90(faces, turn, axes=(1, 2))) for turn in range(4)])
    return max((part @ turned.T).max() for part in np.array_split(train, 20))


@pytest.mark.slow
@pytest.mark.parametrize("held_out", ["validation", "test"])
def test_no_held_out_class_has_a_lookalike_in_training_at_any_quarter_turn(held_out):
    assert most_alike(held_out) < LOOKALIKE


@pytest.mark.slow
def test_the_list_is_what_the_rules_choose():
    listed = resources.files("envs.fewshot").joinpath("glyphs.yaml")
    assert glyphs_yaml() == listed.read_text("ascii")


@pytest.mark.parametrize(("held_out", "other"), [(0x7E1, 0x394), (0x1031B, 0x50)])
def test_known_lookalikes_are_found_and_removed(held_out, other):
    """An N'Ko letter looks like a Delta, an Old Italic one like a P: the measure sees it."""
    drawn = render([held_out, other])
    ours, theirs = np.stack(drawn[held_out]), unit(np.stack(drawn[other]))
    turned = np.concatenate([unit(np.rot90(ours, turn, axes=(1, 2))) for turn in range(4)])
    assert (turned @ theirs.T).max() > LOOKALIKE
    assert other not in listed_classes("train")


def test_the_splits_share_no_character():
    points = [set(listed_classes(split)) for split in ("train", "validation", "test")]
    assert [len(split) for split in points] == [1599, 124, 309]
    assert len(set.union(*points)) == sum(map(len, points))


def test_classes_are_characters_by_quarter_turns():
    source = load_source(DataConfig(name="glyphs"), "test")
    assert len(source.names) == 1107 == len(set(source.names))
    assert "U+05D1 HEBREW LETTER BET turned 270" in source.names
    # Alef looks the same after half a turn, so there are only two of it.
    assert sum("HEBREW LETTER ALEF" in name for name in source.names) == 2


def test_without_difficulty_a_face_is_drawn_as_it_is():
    source = load_source(DataConfig(name="glyphs", size=48, difficulty=0.0), "validation")
    first = source.names.index("U+10D0 GEORGIAN LETTER AN")
    turned = source.names.index("U+10D0 GEORGIAN LETTER AN turned 90")
    upright, on_its_side = source.draw(np.array([first, turned]), 300, np.random.default_rng(0))
    faces = [np.pad(face, 4).tobytes() for face in render([0x10D0])[0x10D0]]
    assert {picture.tobytes() for picture in upright} == set(faces)
    assert {np.rot90(p, -1).tobytes() for p in on_its_side} == set(faces)


def test_drawings_are_all_different_and_the_same_for_a_seed():
    source = load_source(DataConfig(name="glyphs"), "test")
    classes = np.arange(0, 1000, 100)
    once, again, other = (source.draw(classes, 5, np.random.default_rng(s)) for s in (1, 1, 2))
    assert once.shape == (10, 5, 28, 28, 1) and once.dtype == np.uint8
    np.testing.assert_array_equal(once, again)
    drawn = [*once.reshape(50, -1), *other.reshape(50, -1)]
    assert len({picture.tobytes() for picture in drawn}) == 100
    # Ink on an empty ground.
    assert (once.max(axis=(2, 3)) > 128).all()
    assert (np.median(once, axis=(2, 3)) < 2).mean() > 0.8


def test_size_and_channels():
    config = DataConfig(name="glyphs", size=32, channels=3)
    source = load_source(config, "validation")
    drawn = source.draw(np.array([3]), 2, np.random.default_rng(0))
    assert source.shape == drawn.shape[2:] == (32, 32, 3)
    assert (drawn[..., :1] == drawn).all()


def test_pictures_of_a_class_are_nearer_to_each_other():
    """1-nearest-neighbour on pixels, 5-way 1-shot: 68 % on the test split, with a chance of 20."""
    source = load_source(DataConfig(name="glyphs"), "test")
    rng = np.random.default_rng(0)
    right = []
    for _ in range(200):
        classes = rng.choice(len(source.names), 5, replace=False)
        pictures = source.draw(classes, 2, rng).reshape(5, 2, -1).astype(float)
        distances = np.square(pictures[:, None, 0] - pictures[:, 1]).sum(-1)
        right.append(distances.argmin(axis=0) == np.arange(5))
    assert np.mean(right) == pytest.approx(0.68, abs=0.1)


def test_says_which_font_is_not_there(monkeypatch):
    monkeypatch.setattr("matplotlib.get_data_path", lambda: "/nowhere")
    with pytest.raises(DataError, match=r"fonts, and /nowhere/.*DejaVuSans\.ttf is not"):
        render([65])
