from __future__ import annotations

import pytest

from envs import SPLITS, EnvsConfig, overlaps, split_config

EASY = EnvsConfig(tasks=("procgen-easy6",), threads=2)


def test_a_split_changes_the_levels_alone():
    assert split_config("train", EASY) == EASY
    for name, start in (("validation", 500), ("test1", 1000), ("test2", 1200), ("test3", 1400)):
        split = split_config(name, EASY)
        assert (split.start_level, split.num_levels) == (start, 200)
        assert split.model_copy(update={"start_level": 0}) == EASY


@pytest.mark.parametrize(
    ("levels", "overlapping"),
    [
        ({"num_levels": 200}, set()),
        ({"num_levels": 500}, set()),
        ({"num_levels": 501}, {"validation"}),
        ({"num_levels": 1000}, {"validation"}),
        ({"num_levels": 1001}, {"validation", "test1"}),
        ({"num_levels": 0}, {"validation", "test1", "test2", "test3"}),
        ({"start_level": 1200, "num_levels": 1}, {"test2"}),
        ({"start_level": 1399, "num_levels": 2}, {"test2", "test3"}),
        ({"start_level": 1600}, set()),
    ],
)
def test_overlaps_with_training_are_seen(levels, overlapping):
    config = EnvsConfig(tasks=("bigfish",), **levels)
    assert {name for name in SPLITS if overlaps(name, config)} == {"train"} | overlapping


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("test4", {"tasks": ["maze"]}, "split 'test4' does not exist: use one of train, valid"),
        ("test1", {"tasks": ["CartPole-v1"]}, "split 'test1' is for ProcGen, and 'CartPole-v1'"),
        (
            "test1",
            {"tasks": ["maze"], "distribution_mode": "exploration"},
            "split 'test1' does not exist in mode 'exploration'",
        ),
    ],
)
def test_what_has_no_split_says_so(name, given, message):
    config = EnvsConfig(**given)
    assert split_config("train", config) == config
    for function in (split_config, overlaps):
        with pytest.raises(ValueError, match=message):
            function(name, config)
