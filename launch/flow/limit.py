"""The limit on an episode's length where complete episodes are played."""

from __future__ import annotations

from envs.faults import EnvFault

LONGEST_EPISODE = 27_000
"""Steps. Half an hour of Atari at 60 frames a second, four frames a step (Mnih et al. 2015)."""


def check_length(task: str, steps: int) -> None:
    """Refuse to wait longer for an episode to end.

    Args:
        task: name of the episode's task.
        steps: of the episode so far.

    Raises:
        EnvFault: if these are too many.
    """
    if steps >= LONGEST_EPISODE:
        raise EnvFault(
            task,
            "its episode",
            f"has not ended after {steps} steps: give the environment a time limit, such as "
            "max_episode_steps where it is registered",
        )
