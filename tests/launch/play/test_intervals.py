"""Intervals against published tables and values computed by hand."""

import math

import numpy as np
import pytest

from launch.play.intervals import (
    estimate_accuracy,
    student_estimate,
    student_quantile,
    wilson_estimate,
)


# Two-sided points of Student's t as textbooks print them; even and odd degrees of freedom.
@pytest.mark.parametrize(
    ("degrees", "confidence", "t"),
    [
        (1, 0.95, 12.706),
        (2, 0.95, 4.303),
        (3, 0.95, 3.182),
        (4, 0.95, 2.776),
        (9, 0.95, 2.262),
        (30, 0.95, 2.042),
        (60, 0.95, 2.000),
        (120, 0.95, 1.980),
        (9999, 0.95, 1.960),
        (4, 0.99, 4.604),
        (7, 0.90, 1.895),
    ],
)
def test_the_quantiles_of_students_t_are_those_of_the_tables(degrees, confidence, t):
    assert student_quantile(degrees, confidence) == pytest.approx(t, abs=6e-4)


def test_the_interval_of_a_mean_divides_by_the_root_of_the_number():
    mean, low, high = student_estimate([0.2, 0.4, 0.6])
    # Standard deviation 0.2, standard error 0.2 / sqrt(3), t of 2 degrees of freedom 4.303.
    assert mean == pytest.approx(0.4)
    assert (low, high) == (0, pytest.approx(0.4 + 4.3027 * 0.2 / math.sqrt(3), abs=1e-5))
    mean, low, high = student_estimate([0.4, 0.6] * 50)
    error = math.sqrt(100 * 0.01 / 99) / 10
    assert (low, high) == pytest.approx((0.5 - 1.9842 * error, 0.5 + 1.9842 * error), abs=1e-6)


def test_one_value_has_no_interval():
    assert student_estimate([0.25]) == (0.25, None, None)


# Newcombe 1998, table I, method 3 (the score method of Wilson).
@pytest.mark.parametrize(
    ("hits", "answers", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_the_published_one(hits, answers, low, high):
    found = wilson_estimate(hits, answers)
    assert found == pytest.approx((hits / answers, low, high), abs=5e-5)
    mirrored = wilson_estimate(answers - hits, answers)
    assert mirrored[1:] == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_accuracies_of_single_answers_are_binomial_and_others_are_not():
    assert estimate_accuracy([1, 0, 0, 1]) == wilson_estimate(2, 4)
    assert estimate_accuracy(np.ones(10)) == wilson_estimate(10, 10)
    assert estimate_accuracy([0.5, 0, 1]) == student_estimate([0.5, 0.0, 1.0])


def test_95_of_100_intervals_hold_the_truth():
    """Episodes of five answers whose chance of being right differs from episode to episode."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        chance = rng.beta(4, 2, size=40)  # with mean 2/3
        _, low, high = estimate_accuracy(rng.binomial(5, chance) / 5)
        held += low <= 2 / 3 <= high
    assert 930 <= held <= 970  # 950 +- 3 standard deviations
