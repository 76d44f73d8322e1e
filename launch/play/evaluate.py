"""Evaluate one run: complete episodes with a checkpoint, on training and held-out levels."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from torch import Tensor

from agents import Agent, greedy, sampler
from agents.acting import ActionRule
from envs import EnvsConfig, overlaps, split_config
from envs.leaks import leaked_levels
from launch.config.schema import LoadedConfig
from launch.errors import RunError, UserError
from launch.flow.evaluate import Score, mean_normalised
from launch.flow.evaluate import evaluate as play
from launch.flow.resources import learning_device
from launch.prepare import check
from launch.run.folder import RunFolder

log = logging.getLogger(__name__)

EPISODES = 200
"""Of each game on each split: one for each level of a held-out split, as in the paper."""

Leaks = Mapping[str, Mapping[str, Sequence[int]]]
"""Levels by split and game."""


class Evaluation(NamedTuple):
    """The scores of one agent."""

    frames: int  # environment steps that the agent had learnt from
    seed: int
    scores: list[Score]  # one for each split and game
    mean_normalised: dict[str, float | None]  # by split; None unless every game has a score
    left_out: Leaks  # levels that were not played, as they equal a training level


class Player(NamedTuple):
    """An agent that is ready to play, and what it plays."""

    run: RunFolder
    config: LoadedConfig
    agent: Agent
    frames: int
    splits: dict[str, EnvsConfig]
    left_out: Leaks


def evaluate(
    run: RunFolder | str | Path,
    splits: Sequence[str] = (),
    episodes: int = EPISODES,
    seed: int = 0,
    console: Console | None = None,
    checkpoint: str = "newest",
    sample: bool = False,
    exclude_leaked: bool = False,
) -> Evaluation:
    """Play complete episodes with a checkpoint of a run.

    Where there are finitely many levels, episode e of a game is on level e mod their number: each
    level is played equally often if `episodes` is a multiple of it.

    Args:
        run: the run, or the path of its folder.
        splits: of `envs.SPLITS`; by default the training levels and, for ProcGen, the three
            held-out splits of the paper.
        episodes: complete episodes of each game on each split, at least 1.
        seed: of sampled actions, and of environments that have no such levels.
        console: where a progress bar is shown if it is a terminal; by default nowhere.
        checkpoint: `newest`, `best` or the number of its frames.
        sample: draw actions with the policy's probabilities instead of taking the likeliest.
        exclude_leaked: leave out held-out levels that equal a training level: see `envs.leaks`.

    Raises:
        UserError: if the run has no such checkpoint that can be read, a split does not exist, or
            levels cannot be left out.
        RunError: if the network's outputs are not finite.
        EnvFault: if an environment fails, or an episode does not end.
    """
    opened = RunFolder.open(run.path if isinstance(run, RunFolder) else run)
    with bars(console) as progress:
        player = prepare_player(*opened, splits, checkpoint, exclude_leaked, progress)
        return play_splits(player, episodes, seed, sample, progress)


def bars(console: Console | None) -> Progress:
    """Return progress bars with the time that is left, shown if the console is a terminal."""
    return Progress(console=console, disable=not (console and console.is_terminal))


def prepare_player(
    run: RunFolder,
    config: LoadedConfig,
    splits: Sequence[str],
    checkpoint: str,
    exclude_leaked: bool,
    progress: Progress,
) -> Player:
    """Check all that playing needs, and load the agent; the arguments are those of `evaluate`."""
    chosen = _splits(splits, config.envs)
    if exclude_leaked:
        _refuse_without_leaks(chosen, config.envs)
    saved = run.find_checkpoint(checkpoint)
    agent = check(config, saved).eval().to(learning_device(config))
    for name in chosen:
        if name != "train" and overlaps(name, config.envs):
            log.warning("split %s: some of its levels were trained on", name)
    leaks = _find_leaks(chosen, config.envs, progress) if exclude_leaked else {}
    return Player(run, config, agent, saved.frames, chosen, leaks)


def _splits(names: Sequence[str], envs: EnvsConfig) -> dict[str, EnvsConfig]:
    default = ("train", "test1", "test2", "test3") if envs.is_procgen else ("train",)
    try:
        return {name: split_config(name, envs) for name in names or default}
    except ValueError as error:
        raise UserError(str(error)) from None


def _refuse_without_leaks(splits: Mapping[str, EnvsConfig], envs: EnvsConfig) -> None:
    if not envs.is_procgen:
        raise UserError(f"--exclude-leaked: is for ProcGen, and {envs.tasks[0]!r} is not")
    if not envs.num_levels:
        raise UserError("--exclude-leaked: the run trains on all levels, so none would be left")
    if not splits.keys() - {"train"}:
        raise UserError("--exclude-leaked: has no effect on training levels: leave it out")


def _find_leaks(
    splits: Mapping[str, EnvsConfig], envs: EnvsConfig, progress: Progress
) -> dict[str, dict[str, list[int]]]:
    held_out = {name: levels for name, levels in splits.items() if name != "train"}
    bar = progress.add_task("leaked levels", total=len(held_out) * len(envs.tasks))
    training = range(envs.start_level, envs.start_level + envs.num_levels)
    leaks: dict[str, dict[str, list[int]]] = {}
    for task in envs.tasks:
        for name, levels in held_out.items():
            numbers = range(levels.start_level, levels.start_level + levels.num_levels)
            try:
                found = leaked_levels(task, envs, training, numbers)
            except ValueError as error:
                raise UserError(f"--exclude-leaked: {error}") from None
            leaks.setdefault(name, {})[task] = found
            progress.advance(bar)
    return leaks


def play_splits(
    player: Player, episodes: int, seed: int, sample: bool, progress: Progress
) -> Evaluation:
    """Play all splits of a player; the arguments are those of `evaluate`."""
    scores: list[Score] = []
    for name, envs in player.splits.items():
        bar = progress.add_task(
            escape(f"{player.run.path} {name}"), total=episodes * len(envs.tasks)
        )
        advance = partial(progress.advance, bar)
        rule = _of_finite(sampler(torch.Generator().manual_seed(seed)) if sample else greedy)
        left_out = player.left_out.get(name, {})
        try:
            scores += play(player.agent, envs, name, episodes, seed, advance, rule, left_out)
        except ValueError as error:
            raise UserError(f"{player.run.path}, {name}: {error}") from None
        progress.update(bar, completed=episodes * len(envs.tasks))
    _warn_of_infinite(player, scores)
    means = {
        name: mean_normalised([s for s in scores if s.split == name]) for name in player.splits
    }
    return Evaluation(player.frames, seed, scores, means, player.left_out)


def _of_finite(rule: ActionRule) -> ActionRule:
    """Return the rule with a check of what it is given."""

    def checked(logits: Tensor) -> Tensor:
        if not torch.isfinite(logits).all():
            raise RunError("the network's outputs are not finite: use another checkpoint")
        return rule(logits)

    return checked


def _warn_of_infinite(player: Player, scores: Sequence[Score]) -> None:
    for score in scores:
        bad = sum(not math.isfinite(ret) for ret in score.returns)
        if bad:
            log.warning(
                "%s, %s, %s: %d of %d returns are not finite, so their mean is not either",
                *(player.run.path, score.split, score.task, bad, score.episodes),
            )
