"""Fix which episodes an evaluation plays, before it begins.

Taking the first to finish instead would prefer short episodes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from envs import EnvsConfig, LevelListEnv, VectorEnv, env_spec, level_opener, make_env

# Environments of a game side by side: enough for the convolutions, few enough that most of them
# play more than one episode.
ENVS_PER_TASK = 16


class Part(NamedTuple):
    """What one of the environments plays."""

    task: str
    episodes: int
    levels: tuple[int, ...]  # one for each episode; none where there are endlessly many


def plan_episodes(
    envs: EnvsConfig, episodes: int, left_out: Mapping[str, Collection[int]]
) -> list[Part]:
    """Share the episodes of each game out among environments that play side by side.

    Where a game has L levels, episode e is on level e mod L: with L episodes, or a multiple of
    them, each level is played equally often, and more episodes include those of fewer. Episodes on
    levels that are left out are dropped.

    Args:
        envs: games and levels.
        episodes: of each game, at least 1.
        left_out: levels by game.

    Returns:
        A part for each environment, the games of `envs.tasks` one after the other in turn.

    Raises:
        ValueError: if nothing is left of a game.
    """
    count = min(episodes, ENVS_PER_TASK)
    if not (envs.is_procgen and envs.num_levels):
        shares = [len(range(number, episodes, count)) for number in range(count)]
        return [Part(task, share, ()) for share in shares for task in envs.tasks]
    levels = {task: _levels(task, envs, episodes, left_out.get(task, ())) for task in envs.tasks}
    lists = [(task, levels[task][number::count]) for number in range(count) for task in envs.tasks]
    return [Part(task, len(chosen), chosen) for task, chosen in lists if chosen]


def _levels(
    task: str, envs: EnvsConfig, episodes: int, left_out: Collection[int]
) -> tuple[int, ...]:
    """Return the level of each episode of a game."""
    numbers = [envs.start_level + episode % envs.num_levels for episode in range(episodes)]
    kept = tuple(level for level in numbers if level not in left_out)
    if not kept:
        raise ValueError(f"no level of {task} is left of the first {episodes}: play more episodes")
    return kept


def open_plan(envs: EnvsConfig, plan: Sequence[Part], seed: int) -> VectorEnv:
    """Open the environments of a plan; where it names no levels, `seed` decides what they play.

    Raises:
        ValueError: if a task cannot be played here.
    """
    if plan[0].levels:
        tasks, _, levels = zip(*plan, strict=True)
        return LevelListEnv(env_spec(envs), tasks, levels, level_opener(envs))
    return make_env(envs, len(plan), seed=seed)
