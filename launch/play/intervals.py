"""95 % intervals of mean accuracies."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A mean, and the interval in which the true mean lies with 95 % confidence."""

    mean: float
    low: float | None  # None where one value says nothing about the spread
    high: float | None


def estimate_accuracy(values: ArrayLike) -> Estimate:
    """Estimate the mean of independent accuracies, such as those of episodes.

    With one answer an episode each value is 0 or 1: the mean is binomial, and the interval is
    Wilson's. Student's t would be too narrow near 0 and 1, and of no width at them.

    Args:
        values: [n], n >= 1, each in 0..1.
    """
    array = np.asarray(values, np.float64)
    if ((array == 0) | (array == 1)).all():
        return wilson_estimate(int(array.sum()), len(array))
    return student_estimate([*array])


def student_estimate(values: Sequence[float]) -> Estimate:
    """Estimate the mean of independent accuracies by Student's t; the interval ends at 0 and 1."""
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Estimate(mean, None, None)
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = student_quantile(len(values) - 1) * error
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half))


def wilson_estimate(hits: int, answers: int) -> Estimate:
    """Estimate the probability of a hit (Wilson 1927, without continuity correction)."""
    z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = hits / answers
    shrunk = (share + z**2 / (2 * answers)) / (1 + z**2 / answers)
    spread = share * (1 - share) / answers + z**2 / (4 * answers**2)
    half = z * math.sqrt(spread) / (1 + z**2 / answers)
    return Estimate(share, max(0.0, shrunk - half), min(1.0, shrunk + half))


def student_quantile(degrees: int, confidence: float = CONFIDENCE) -> float:
    """Return t such that |T| <= t with probability `confidence`.

    Args:
        degrees: of freedom of Student's T, at least 1.
        confidence: in 0..1, both excluded.
    """
    low, high = 0.0, math.pi / 2  # of the angle atan(t / sqrt(degrees))
    while (middle := (low + high) / 2) not in (low, high):
        if _student_probability(middle, degrees) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan(low)


def _student_probability(angle: float, degrees: int) -> float:
    """Return the probability of |T| <= sqrt(degrees) tan(angle).

    The finite series of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3-4.
    """
    odd = degrees % 2
    terms = np.arange(1, degrees // 2)
    factors = (2 * terms - 1 + odd) / (2 * terms + odd) * math.cos(angle) ** 2
    total = 1 + np.cumprod(factors).sum() if degrees > 1 else 0.0
    if not odd:
        return float(math.sin(angle) * total)
    return float(2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * total))
