"""Evaluate several runs that play games, and join those that differ in their seed only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from envs import normalise
from launch.config.schema import LoadedConfig
from launch.play.aggregate import STATISTICS, Cells, Means, Statistic, estimate, resample
from launch.play.alike import join_alike
from launch.play.evaluate import (
    EPISODES,
    Evaluation,
    bars,
    play_splits,
    prepare_player,
)
from launch.play.intervals import Estimate
from launch.run.folder import RunFolder

GAP = "gap"
"""The name of the difference: training levels minus the mean of the held-out splits."""


class GameScore(NamedTuple):
    """The return of one game on one split."""

    split: str
    task: str
    ret: Estimate
    normalised: Estimate | None  # None where no range is published


class Aggregate(NamedTuple):
    """A statistic of the normalised returns of all games."""

    statistic: str  # of `STATISTICS`
    split: str  # or GAP
    estimate: Estimate


class PolicyResult(NamedTuple):
    """The returns of one agent, or of several that differ in their seed only.

    Of several, the intervals are over seeds, else over episodes.
    """

    runs: tuple[str, ...]
    config: LoadedConfig  # of the first
    seeds: tuple[int, ...]
    checkpoint: str  # which one: best, newest or its frames
    episodes: int  # of each game and seed on each split
    sampled: bool  # whether actions were drawn, or the likeliest taken
    evaluations: tuple[Evaluation, ...]  # one for each seed
    scores: tuple[GameScore, ...]
    aggregates: tuple[Aggregate, ...]  # none unless every game has a published range


def evaluate_policies(
    runs: Sequence[RunFolder | str | Path],
    splits: Sequence[str] = (),
    episodes: int = EPISODES,
    seed: int = 0,
    console: Console | None = None,
    checkpoint: str = "newest",
    sample: bool = False,
    exclude_leaked: bool = False,
) -> list[PolicyResult]:
    """Play complete episodes with a checkpoint of each run, and compare their returns.

    Runs that differ in their seed only are joined to one result. The arguments and errors are those
    of `launch.evaluate`; two runs must not have the same configuration and seed.
    """
    opened = [RunFolder.open(run.path if isinstance(run, RunFolder) else run) for run in runs]
    results = []
    with bars(console) as progress:
        groups = [
            [prepare_player(*one, splits, checkpoint, exclude_leaked, progress) for one in group]
            for group in join_alike(opened)
        ]
        for players in groups:
            found = [play_splits(player, episodes, seed, sample, progress) for player in players]
            scores, aggregates = summarise(found, players[0].config.envs.distribution_mode)
            results.append(
                PolicyResult(
                    runs=tuple(str(player.run.path) for player in players),
                    config=players[0].config,
                    seeds=tuple(player.config.seed for player in players),
                    checkpoint=checkpoint,
                    episodes=episodes,
                    sampled=sample,
                    evaluations=tuple(found),
                    scores=scores,
                    aggregates=aggregates,
                )
            )
    return results


def summarise(
    evaluations: Sequence[Evaluation], mode: str
) -> tuple[tuple[GameScore, ...], tuple[Aggregate, ...]]:
    """Return the estimates of each game on each split, and of all games.

    Args:
        evaluations: of one agent or of several seeds, with the same splits and games.
        mode: the distribution mode, for the published ranges.
    """
    scores: list[GameScore] = []
    normalised: dict[str, Cells | None] = {}
    for split in dict.fromkeys(score.split for score in evaluations[0].scores):
        played = [[s for s in found.scores if s.split == split] for found in evaluations]
        tasks = [score.task for score in played[0]]
        cells = resample([[score.returns for score in seed] for seed in played])
        for number, task in enumerate(tasks):
            ret = estimate([cells], _of_game(number))
            scores.append(GameScore(split, task, ret, _normalise_estimate(task, mode, ret)))
        normalised[split] = _normalise_cells(tasks, mode, cells)
    known = {split: cells for split, cells in normalised.items() if cells is not None}
    return tuple(scores), tuple(_aggregates(known))


def _of_game(number: int) -> Statistic:
    """Return the statistic that is the mean of one game over seeds."""

    def mean_of_game(cells: Means) -> Means:
        return np.asarray(cells[..., number].mean(axis=-1))

    return mean_of_game


def _normalise_estimate(task: str, mode: str, ret: Estimate) -> Estimate | None:
    mean = normalise(task, mode, ret.mean)
    if mean is None:
        return None
    low, high = (None if end is None else normalise(task, mode, end) for end in ret[1:])
    return Estimate(mean, low, high)


def _normalise_cells(tasks: Sequence[str], mode: str, cells: Cells) -> Cells | None:
    """Normalise the games; None unless every one of them has a published range."""

    def apply(means: Means) -> Means | None:
        columns = [normalise(task, mode, means[..., i]) for i, task in enumerate(tasks)]
        known = [column for column in columns if column is not None]
        return np.stack(known, axis=-1) if len(known) == len(tasks) else None

    found = apply(cells.found)
    if found is None:
        return None
    return Cells(found, None if cells.resampled is None else apply(cells.resampled))


def _aggregates(cells: dict[str, Cells]) -> list[Aggregate]:
    held_out = [split for split in cells if split != "train"]
    found = []
    for name, statistic in STATISTICS.items():
        found += [Aggregate(name, split, estimate([cells[split]], statistic)) for split in cells]
        if held_out and "train" in cells:
            both = [cells[split] for split in ("train", *held_out)]
            found.append(Aggregate(name, GAP, estimate(both, _gap_of(statistic))))
    return found


def _gap_of(statistic: Statistic) -> Callable[..., Means]:
    def gap(training: Means, *held_out: Means) -> Means:
        return statistic(training) - np.mean([statistic(cells) for cells in held_out], axis=0)

    return gap
