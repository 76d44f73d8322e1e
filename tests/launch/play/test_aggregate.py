"""Statistics over games and their bootstrap intervals, against values computed by hand."""

import math

import numpy as np
import pytest

from launch.flow.evaluate import Score
from launch.play.aggregate import (
    STATISTICS,
    estimate,
    interquartile_mean,
    mean,
    median,
    resample,
)
from launch.play.evaluate import Evaluation
from launch.play.intervals import Estimate
from launch.play.policies import GAP, summarise


def test_statistics_of_two_seeds_and_four_games():
    cells = np.array([[0.0, 10.0, 2.0, 9.0], [1.0, 4.0, 2.0, 40.0]])
    assert mean(cells) == 68 / 8
    assert median(cells) == (2 + 7) / 2  # of 0.5, 7, 2 and 24.5
    assert interquartile_mean(cells) == (2 + 2 + 4 + 9) / 4  # without 0, 1, 10 and 40


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (3, 3), (4, 2), (6, 4), (7, 5)])
def test_a_quarter_rounded_down_is_cut_from_each_end(count, kept):
    values = np.arange(count, dtype=float) ** 2
    cut = (count - kept) // 2
    assert interquartile_mean(values[None]) == values[cut : count - cut].mean()


def test_statistics_of_many_resamples_are_those_of_each():
    cells = np.random.default_rng(0).normal(size=(5, 3, 6))
    for statistic in STATISTICS.values():
        np.testing.assert_allclose(statistic(cells), [statistic(one) for one in cells])


def test_two_seeds_are_drawn_for_each_game_apart():
    """Each game's mean is that of one seed, of the other or of both: 1/4, 1/4 and 1/2."""
    cells = resample([[[0.0], [0.0]], [[1.0], [10.0]]])
    np.testing.assert_array_equal(cells.found, [[0, 0], [1, 10]])
    first, second = np.moveaxis(cells.resampled.mean(axis=1), -1, 0)
    for game, top in ((first, 1), (second, 10)):
        shares = [np.mean(game == value) for value in (0, top / 2, top)]
        np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.02)
    # Drawn together they would be 0 together in a quarter of the cases.
    assert np.mean((first == 0) & (second == 0)) == pytest.approx(1 / 16, abs=0.01)
    assert estimate([cells], mean) == Estimate(2.75, 0.0, 5.5)


def test_of_one_seed_episodes_are_drawn():
    """The interval of a mean of many values is nearly that of the normal distribution."""
    values = np.random.default_rng(1).normal(5, 2, size=400)
    found = estimate([resample([[values]])], mean)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)


def test_one_episode_of_one_seed_has_no_interval():
    assert estimate([resample([[[3.0], [1.0, 2.0]]])], mean) == Estimate(2.25, None, None)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_has_no_interval_and_raises_nothing(bad):
    cells = resample([[[1.0, bad, 2.0], [1.0, 1.0, -bad]]])
    for statistic in STATISTICS.values():
        found = estimate([cells], statistic)
        assert not math.isfinite(found.mean)
        assert found[1:] == (None, None)


def evaluation(**returns):
    """Return an evaluation of bigfish and maze: of each split the returns of both games."""
    scores = [
        Score(split, task, tuple(found), (), None)
        for split, games in returns.items()
        for task, found in zip(("bigfish", "maze"), games, strict=True)
    ]
    return Evaluation(100, 0, scores, {}, {})


def test_returns_are_normalised_with_the_constants_of_the_paper():
    """Easy: bigfish 1 to 40, maze 5 to 10 (arXiv 1912.01588)."""
    scores, aggregates = summarise([evaluation(train=([40.0, 1.0], [10.0, 10.0]))], "easy")
    assert [(s.split, s.task, s.ret.mean) for s in scores] == [
        ("train", "bigfish", 20.5),
        ("train", "maze", 10.0),
    ]
    assert [s.normalised for s in scores] == [Estimate(0.5, 0.0, 1.0), Estimate(1.0, 1.0, 1.0)]
    assert {a.statistic: a.estimate.mean for a in aggregates} == pytest.approx(
        {"mean": 0.75, "median": 0.75, "IQM": 0.75}
    )
    assert all(aggregate.split == "train" for aggregate in aggregates)  # there is no gap


def test_without_a_published_range_there_are_returns_alone():
    scores, aggregates = summarise([evaluation(train=([40.0, 1.0], [10.0, 10.0]))], "memory")
    assert scores[0].ret.mean == 20.5
    assert scores[0].normalised is None
    assert aggregates == ()


def test_the_gap_is_of_pairs():
    """Each seed is worse by the same on held-out levels: no doubt about the gap is left."""
    found = [
        evaluation(
            train=([1 + 39 * x], [5 + 5 * x]),
            test1=([1 + 39 * (x - 0.1)], [5 + 5 * (x - 0.1)]),
            test2=([1 + 39 * (x - 0.3)], [5 + 5 * (x - 0.3)]),
        )
        for x in (0.2, 0.9, 0.4)
    ]
    _, aggregates = summarise(found, "easy")
    by_place = {(a.statistic, a.split): a.estimate for a in aggregates}
    assert by_place["mean", "train"].mean == pytest.approx(0.5)
    assert by_place["mean", "train"].high - by_place["mean", "train"].low > 0.3
    assert by_place["mean", GAP] == pytest.approx((0.2, 0.2, 0.2))
    assert by_place["mean", "test2"].mean == pytest.approx(0.2)
