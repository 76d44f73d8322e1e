from __future__ import annotations

import pytest

from envs import normalise
from envs.scores import RANGES
from envs.suites import GAMES


@pytest.mark.parametrize(
    ("task", "mode", "mean_return", "score"),
    [
        ("bigfish", "easy", 1, 0),
        ("bigfish", "easy", 40, 1),
        ("bigfish", "easy", 20.5, 0.5),
        ("bigfish", "hard", 20, 0.5),
        ("coinrun", "easy", 8, 0.6),
        ("fruitbot", "easy", -1.5, 0),
        ("fruitbot", "easy", 15.45, 0.5),
        ("fruitbot", "hard", 13.35, 0.5),
        ("starpilot", "easy", 33.25, 0.5),
        ("maze", "easy", 0, -1),
        ("maze", "hard", 7, 0.5),
        ("jumper", "easy", 6.5, 0.5),  # 0.61 with train-procgen's constants
        ("leaper", "easy", 6.5, 0.5),
        ("miner", "hard", 29.25, 1.5),
    ],
)
def test_scores_by_hand(task, mode, mean_return, score):
    assert normalise(task, mode, mean_return) == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize(
    ("task", "mode"),
    [("maze", "memory"), ("maze", "exploration"), ("chaser", "extreme"), ("CartPole-v1", "easy")],
)
def test_no_score_without_a_published_range(task, mode):
    assert normalise(task, mode, 3.0) is None


def test_no_constant_has_slipped():
    """The sums of the four columns of the published table, taken from a copy of its text."""
    assert {mode: set(games) for mode, games in RANGES.items()} == {
        "easy": set(GAMES),
        "hard": set(GAMES),
    }
    sums = {
        mode: tuple(round(sum(bound), 6) for bound in zip(*games.values(), strict=True))
        for mode, games in RANGES.items()
    }
    assert sums == {"easy": (39.0, 309.0), "hard": (26.5, 284.4)}
