"""Means, medians and interquartile means over games, with stratified bootstrap intervals.

The statistics are those of Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the
Statistical Precipice" (arXiv 2108.13264). Their library `rliable` is not used: it brings arch,
scipy, statsmodels, pandas and seaborn, and what is needed of it are these few lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from launch.play.intervals import CONFIDENCE, Estimate

RESAMPLES = 10_000
SEED = 0

Means = NDArray[np.float64]
Statistic = Callable[[Means], Means]
"""A number [...] of the means [..., S, G] of S seeds and G games."""


class Cells(NamedTuple):
    """The mean of each seed and game, and the same of resampled data."""

    found: Means  # [S, G]
    resampled: Means | None  # [R, S, G]; None where a single value says nothing about the spread


def resample(returns: Sequence[Sequence[Sequence[float]]]) -> Cells:
    """Draw, for each game apart, as many seeds again with replacement; of one seed, episodes.

    What is drawn depends on the numbers of seeds, games and episodes alone. So two splits of the
    same runs draw the same seeds, and their difference is that of pairs.

    Args:
        returns: of S seeds, for each G games, for each its episodes; one at least.
    """
    found = np.array([[np.mean(episodes) for episodes in games] for games in returns])
    seeds, games = found.shape
    rng = np.random.default_rng(SEED)
    if seeds > 1:
        drawn = rng.integers(seeds, size=(RESAMPLES, seeds, games))
        return Cells(found, np.take_along_axis(found[None], drawn, axis=1))
    if min(map(len, returns[0])) == 1:
        return Cells(found, None)
    columns = [_mean_of_drawn(np.asarray(episodes), rng) for episodes in returns[0]]
    return Cells(found, np.stack(columns, axis=-1)[:, None])


def _mean_of_drawn(values: NDArray[np.float64], rng: np.random.Generator) -> Means:
    """Return the means [R] of as many values, drawn with replacement."""
    return values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)


def estimate(cells: Sequence[Cells], statistic: Callable[..., Means]) -> Estimate:
    """Return a statistic and its 95 % interval, between percentiles of the resampled ones.

    Args:
        cells: one or several, whose means are the statistic's arguments.
        statistic: a `Statistic`, or a function of several arguments of its kind.
    """
    with np.errstate(invalid="ignore"):  # of inf and -inf
        value = float(statistic(*(cell.found for cell in cells)))
        resampled = [cell.resampled for cell in cells if cell.resampled is not None]
        if len(resampled) < len(cells) or not np.isfinite(value):
            return Estimate(value, None, None)
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(statistic(*resampled), [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


def mean(cells: Means) -> Means:
    """Return the mean over seeds and games."""
    return np.asarray(cells.mean(axis=(-2, -1)))


def median(cells: Means) -> Means:
    """Return the median over games of the mean over seeds."""
    return np.asarray(np.median(cells.mean(axis=-2), axis=-1))


def interquartile_mean(cells: Means) -> Means:
    """Return the mean of the middle half of all seeds and games.

    Of n values, floor(n / 4) are left out at each end, as `scipy.stats.trim_mean` does.
    """
    values = np.sort(cells.reshape(*cells.shape[:-2], -1), axis=-1)
    cut = values.shape[-1] // 4
    return np.asarray(values[..., cut : values.shape[-1] - cut].mean(axis=-1))


STATISTICS: dict[str, Statistic] = {
    "mean": mean,
    "median": median,
    "IQM": interquartile_mean,
}
