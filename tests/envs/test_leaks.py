"""Levels of ProcGen with different seeds that are equal, or only look so."""

from contextlib import closing

import numpy as np
import pytest

from envs import EnvsConfig, level_opener
from envs.leaks import layout_of, leaked_levels
from envs.splits import HELD_OUT, HELD_OUT_LEVELS

EASY = EnvsConfig(tasks=("maze",))


def first_observation(task, level):
    with closing(level_opener(EASY)(task, level)) as env:
        return env.observe().obs.copy()


def walk(task, level, steps=300):
    """Return what is seen and earned on a walk that depends on nothing but the level."""
    rng = np.random.default_rng(0)
    seen = []
    with closing(level_opener(EASY)(task, level)) as env:
        for action in rng.integers(15, size=(steps, 1)):
            now = env.observe()
            seen.append((now.obs.tobytes(), float(now.reward[0]), bool(now.first[0])))
            env.act(action)
    return seen


def test_equal_levels_are_found_and_play_alike():
    assert leaked_levels("maze", EASY, [46, 47], range(54, 58)) == [56]
    assert walk("maze", 46) == walk("maze", 56)
    assert walk("maze", 46) != walk("maze", 57)


def test_levels_that_only_begin_alike_are_none():
    """The agent of bigfish begins a fraction of a pixel apart, and other fish come."""
    np.testing.assert_array_equal(
        first_observation("bigfish", 22), first_observation("bigfish", 1350)
    )
    assert walk("bigfish", 22) != walk("bigfish", 1350)
    assert leaked_levels("bigfish", EASY, [22], [1350]) == []
    assert leaked_levels("bigfish", EASY, [22], [22]) == [22]


def test_the_distribution_mode_counts():
    hard = EnvsConfig(tasks=("maze",), distribution_mode="hard")
    assert leaked_levels("maze", hard, [46], [56]) == []


def test_a_state_of_another_form_is_refused():
    with pytest.raises(ValueError, match="another form"):
        layout_of(b"state")


@pytest.mark.slow
def test_the_counts_of_maze():
    """Those of docs/howto/evaluate.md."""
    counts = {
        split: len(leaked_levels("maze", EASY, range(200), range(first, first + HELD_OUT_LEVELS)))
        for split, first in HELD_OUT.items()
    }
    assert counts == {"validation": 3, "test1": 10, "test2": 2, "test3": 3}
