"""Vector environments. Knows nothing of torch or Ray."""

from __future__ import annotations

from envs.config import EnvsConfig
from envs.episodes import Episode, EpisodeTracker
from envs.gym_env import GymVectorEnv, gym_spec
from envs.levels import LevelListEnv, level_opener
from envs.procgen_env import PROCGEN_SPEC, ProcgenVectorEnv, told_if_missing
from envs.registry import import_procgen, register_env
from envs.scores import NORMALISATION, normalise
from envs.screen import Picture, Screen, make_screen
from envs.seeds import mix_seed
from envs.splits import SPLITS, overlaps, split_config
from envs.suites import Suite, register_suite
from envs.vector import EnvSpec, Timestep, VectorEnv

__all__ = [
    "NORMALISATION",
    "SPLITS",
    "EnvSpec",
    "EnvsConfig",
    "Episode",
    "EpisodeTracker",
    "LevelListEnv",
    "Picture",
    "Screen",
    "Suite",
    "Timestep",
    "VectorEnv",
    "env_spec",
    "level_opener",
    "make_env",
    "make_screen",
    "normalise",
    "overlaps",
    "register_env",
    "register_suite",
    "require_games",
    "split_config",
]


def make_env(config: EnvsConfig, num_envs: int, *, seed: int, offset: int = 0) -> VectorEnv:
    """Build the environments with the indices `offset` to `offset + num_envs - 1` of a run.

    The environment with index g plays `config.tasks[g % len(config.tasks)]`, so that workers with
    offsets that follow each other share the tasks out evenly. Other offsets play other episodes,
    also with the same seed.

    Args:
        config: tasks and levels.
        num_envs: N, at least 1.
        seed: of all chance in them, at least 0.
        offset: index of the first, at least 0.

    Raises:
        ValueError: if a task cannot be played here.
    """
    indices = range(offset, offset + num_envs)
    tasks = [config.tasks[index % len(config.tasks)] for index in indices]
    if config.is_procgen:
        return ProcgenVectorEnv(config, tasks, seed=mix_seed(seed, offset))
    return GymVectorEnv(tasks, seeds=[mix_seed(seed, index) for index in indices])


def env_spec(config: EnvsConfig) -> EnvSpec:
    """Return what an agent has to know of the tasks.

    Raises:
        ValueError: if a task cannot be played here, or does not go together with the others.
    """
    return PROCGEN_SPEC if config.is_procgen else gym_spec(config.tasks)


def require_games(config: EnvsConfig) -> None:
    """Check that the tasks can be played here.

    Of ProcGen the library is imported; it opens only when an environment is made, and then takes
    some 370 MB. Of other tasks two environments each are made: they must have the same spaces.

    Raises:
        ValueError: if the library is not there, or an environment cannot be made.
        EnvFault: if an environment fails, or the two differ.
    """
    if config.is_procgen:
        with told_if_missing():
            import_procgen()
    else:
        gym_spec(config.tasks * 2)
