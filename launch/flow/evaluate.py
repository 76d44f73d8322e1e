"""Evaluation: plays complete episodes with a trained agent and averages their returns."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from agents import Actor, Agent, greedy
from envs import EnvsConfig, EpisodeTracker, VectorEnv, make_env, normalise
from launch.flow.limit import check_length

# Environments of a game side by side: enough for the convolutions, few enough that most of them
# play more than one episode.
ENVS_PER_TASK = 16


class Score(NamedTuple):
    """The score of one game on one split."""

    split: str
    task: str
    episodes: int
    mean: float  # of the unclipped, undiscounted returns
    standard_error: float | None  # of that mean; None for a single episode
    normalised: float | None  # of the mean; None where no range is published


def evaluate(
    agent: Agent,
    envs: EnvsConfig,
    split: str,
    episodes: int,
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> list[Score]:
    """Play `episodes` complete episodes of every game, acting greedily as the paper's test runs.

    Args:
        agent: on any device.
        envs: whose levels are those of the split.
        split: its name, for the scores.
        episodes: of each game.
        seed: of the environments.
        advance: called after every finished episode that counts.

    Raises:
        EnvFault: if an environment fails, or an episode does not end: see `launch.flow.limit`.
    """
    per_task = min(episodes, ENVS_PER_TASK)
    env = make_env(envs, per_task * len(envs.tasks), seed=seed)
    with closing(env):
        returns = _play(agent, env, _quotas(env, episodes, per_task), advance)
    scores = []
    for task in envs.tasks:
        mean = statistics.fmean(returns[task])
        error = None
        if episodes > 1:
            error = statistics.stdev(returns[task]) / math.sqrt(episodes)
        normalised = normalise(task, envs.distribution_mode, mean)
        scores.append(Score(split, task, episodes, mean, error, normalised))
    return scores


def _quotas(env: VectorEnv, episodes: int, per_task: int) -> list[int]:
    """Fix in advance how many episodes each environment plays.

    Taking the first to finish instead would prefer short episodes.
    """
    seen: dict[str, int] = {}
    quotas = []
    for task in env.tasks:
        number = seen.get(task, 0)
        seen[task] = number + 1
        quotas.append(episodes // per_task + (number < episodes % per_task))
    return quotas


def _play(
    agent: Agent, env: VectorEnv, quotas: list[int], advance: Callable[[], None]
) -> dict[str, list[float]]:
    returns: dict[str, list[float]] = {task: [] for task in env.tasks}
    tracker = EpisodeTracker(env.tasks)
    actor = Actor(agent, env.num_envs, greedy)
    now = env.observe()
    while any(quotas):
        env.act(actor.step(obs=now.obs, reward=now.reward, first=now.first).action)
        now = env.observe()
        for episode in tracker.step(now.reward, now.first):
            if quotas[episode.env]:
                quotas[episode.env] -= 1
                returns[episode.task].append(episode.ret)
                advance()
        for task, left, length in zip(env.tasks, quotas, tracker.lengths, strict=True):
            if left:
                check_length(task, int(length))
    return returns


def mean_normalised(scores: list[Score]) -> float | None:
    """Return the mean normalised score, None unless every game has one."""
    values = [score.normalised for score in scores if score.normalised is not None]
    return statistics.fmean(values) if len(values) == len(scores) else None
