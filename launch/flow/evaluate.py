"""Evaluation: plays complete episodes with a trained agent and keeps their returns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from typing import NamedTuple

import numpy as np

from agents import Actor, Agent, greedy
from agents.acting import ActionRule
from envs import EnvsConfig, EpisodeTracker, VectorEnv, normalise
from launch.flow.levels import open_plan, plan_episodes
from launch.flow.limit import check_length


class Score(NamedTuple):
    """What one game gave on one split."""

    split: str
    task: str
    returns: tuple[float, ...]  # of the episodes; neither clipped nor discounted
    levels: tuple[int, ...]  # that they were on; empty where there are endlessly many
    normalised: float | None  # of the mean; None where no range is published

    @property
    def episodes(self) -> int:
        """How many were played."""
        return len(self.returns)

    @property
    def mean(self) -> float:
        """Of the returns; not finite if one of them is not."""
        return _mean(self.returns)

    @property
    def standard_error(self) -> float | None:
        """Of the mean; None for a single episode."""
        if self.episodes == 1:
            return None
        with np.errstate(invalid="ignore"):
            return float(np.std(self.returns, ddof=1) / self.episodes**0.5)


def evaluate(
    agent: Agent,
    envs: EnvsConfig,
    split: str,
    episodes: int,
    seed: int,
    advance: Callable[[], None] = lambda: None,
    rule: ActionRule = greedy,
    left_out: Mapping[str, Collection[int]] | None = None,
) -> list[Score]:
    """Play `episodes` complete episodes of every game, all games side by side.

    Where the levels are finitely many, each is played equally often (see `plan_episodes`), and a
    return depends on the level and the actions alone.

    Args:
        agent: on any device.
        envs: whose levels are those of the split.
        split: its name, for the scores.
        episodes: of each game, fewer if levels are left out.
        seed: of environments that have no such levels.
        advance: called after every finished episode that counts.
        rule: picks the actions; by default greedily, as the paper's test runs.
        left_out: levels by game that are not played.

    Raises:
        EnvFault: if an environment fails, or an episode does not end: see `launch.flow.limit`.
        ValueError: if no level of a game is left.
    """
    plan = plan_episodes(envs, episodes, left_out or {})
    with closing(open_plan(envs, plan, seed)) as env:
        returns = _play(agent, env, [part.episodes for part in plan], advance, rule)
    scores = []
    for task in envs.tasks:
        parts = [number for number, part in enumerate(plan) if part.task == task]
        played = [ret for number in parts for ret in returns[number]]
        levels = [level for number in parts for level in plan[number].levels]
        if levels:
            order = np.argsort(levels, kind="stable")
            played, levels = [played[i] for i in order], [levels[i] for i in order]
        normalised = normalise(task, envs.distribution_mode, _mean(played))
        scores.append(Score(split, task, tuple(played), tuple(levels), normalised))
    return scores


def _mean(values: Collection[float]) -> float:
    with np.errstate(invalid="ignore"):  # of inf and -inf
        return float(np.mean([*values]))


def _play(
    agent: Agent,
    env: VectorEnv,
    quotas: list[int],
    advance: Callable[[], None],
    rule: ActionRule,
) -> list[list[float]]:
    """Return for each environment the returns of its first episodes, as many as its quota."""
    returns: list[list[float]] = [[] for _ in quotas]
    left = sum(quotas)
    tracker = EpisodeTracker(env.tasks)
    actor = Actor(agent, env.num_envs, rule)
    now = env.observe()
    while left:
        env.act(actor.step(obs=now.obs, reward=now.reward, first=now.first).action)
        now = env.observe()
        for episode in tracker.step(now.reward, now.first):
            if len(returns[episode.env]) < quotas[episode.env]:
                returns[episode.env].append(episode.ret)
                left -= 1
                advance()
        for i, (task, length) in enumerate(zip(env.tasks, tracker.lengths, strict=True)):
            if len(returns[i]) < quotas[i]:
                check_length(task, int(length))
    return returns


def mean_normalised(scores: list[Score]) -> float | None:
    """Return the mean normalised score, None unless every game has one."""
    values = [score.normalised for score in scores if score.normalised is not None]
    return statistics.fmean(values) if len(values) == len(scores) else None
