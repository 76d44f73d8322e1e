"""Recording: one episode as a person sees it, with what the agent saw and did."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple, overload

import numpy as np

from agents import Agent, greedy
from agents.acting import ActionRule
from envs import EnvsConfig, Picture, make_screen
from launch.play.trace import Trace, play


class Frames(Sequence[Picture]):
    """Pictures [H, W, 3] that are kept compressed: some thousand would not fit into memory."""

    def __init__(self) -> None:
        self._packed: list[tuple[tuple[int, ...], bytes]] = []

    def append(self, picture: Picture) -> None:
        """Keep a copy of a picture."""
        self._packed.append((picture.shape, zlib.compress(picture.tobytes(), level=1)))

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        shape, packed = self._packed[index]
        return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)


class Recording(NamedTuple):
    """An episode of T actions, or its first T."""

    trace: Trace
    frames: Sequence[Picture] | None
    """[T] pictures [H, W, 3] for people; None where the observations are all that can be seen."""
    action_names: tuple[str, ...]  # A
    level: int | None  # that was played; None outside ProcGen


def record_screen(
    agent: Agent,
    envs: EnvsConfig,
    seed: int,
    most: int,
    rule: ActionRule = greedy,
    advance: Callable[[], None] = lambda: None,
) -> Recording:
    """Play the first episode of an environment, and keep what it shows.

    Args:
        agent: on the CPU.
        envs: of the one task that is played.
        seed: of the environment.
        most: steps that are recorded, at least 1; the rest of a longer episode is not played.
        rule: picks the actions.
        advance: called at every step.

    Raises:
        ValueError: if the task cannot be drawn.
        EnvFault: if the environment fails.
    """
    screen = make_screen(envs, seed=seed)
    draw, frames = screen.frame, Frames()

    def watch() -> None:
        if draw:
            frames.append(draw())
        advance()

    with closing(screen.env) as env:
        trace = play(agent, env, watch, most, rule)
    return Recording(trace, frames if draw else None, screen.action_names, screen.level)


def at_level(envs: EnvsConfig, level: int) -> EnvsConfig:
    """Return the configuration that plays one level of ProcGen alone.

    Raises:
        ValueError: if the tasks have no levels to choose from.
    """
    if not envs.is_procgen:
        raise ValueError(
            f"level {level}: {envs.tasks[0]!r} has no levels, only ProcGen's games have: use --seed"
        )
    if envs.distribution_mode == "exploration":
        raise ValueError(f"level {level}: mode 'exploration' is one level: leave it out")
    return envs.model_copy(update={"start_level": level, "num_levels": 1})


def is_trained_on(envs: EnvsConfig, level: int) -> bool:
    """Return whether a level of ProcGen is one of those that `envs` trains on."""
    last = envs.start_level + envs.num_levels
    return envs.num_levels == 0 or envs.start_level <= level < last
