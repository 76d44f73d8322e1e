"""Leaked levels: held-out levels of ProcGen that equal a training level.

Different seeds do not always make different levels (openai/procgen#100). Two levels are equal if
their first observations and their layouts are. The layout is the whole map with everything on it;
often the agent sees a part of it only. ProcGen has no call for it: it is read from a saved state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import closing
from functools import lru_cache

from envs.config import EnvsConfig
from envs.levels import level_opener

_GENERATOR = re.compile(rb"(?:\d+ ){600,}\d+")  # a std::mt19937, written as text
# Sizes in bytes of what is between a generator and the next, in this order.
_COUNTERS = 15 * 4  # rewards, seeds and clocks
_SHIFT = 4  # after the figures: where the picture of the background begins
_MOVES = 15 * 4  # of the agent
_HEAD = 2 * 4  # whether the next generator is seeded, and the length of its text


def leaked_levels(
    task: str, config: EnvsConfig, training: Iterable[int], held_out: Iterable[int]
) -> list[int]:
    """Return the levels of `held_out` that equal one of `training`.

    Args:
        task: a ProcGen game.
        config: for its distribution mode.
        training: levels.
        held_out: levels.

    Raises:
        ValueError: if ProcGen is not there, or its levels cannot be compared.
    """
    mode = config.distribution_mode
    trained_on = {look_of(task, mode, level) for level in training}
    return [level for level in held_out if look_of(task, mode, level) in trained_on]


@lru_cache(maxsize=2**16)  # several runs and splits are compared with the same levels
def look_of(task: str, mode: str, level: int) -> int:
    """Return a number that stands for the first observation and the layout of a level."""
    config = EnvsConfig.model_validate({"tasks": (task,), "distribution_mode": mode})
    with closing(level_opener(config)(task, level)) as env:
        (state,) = env.save() or [b""]
        return hash(env.observe().obs.tobytes() + layout_of(state))


def layout_of(state: bytes) -> bytes:
    """Return the layout in a saved state of ProcGen, without seeds and random generators.

    A state is, in this order: options and the range of levels, two generators, counters, figures,
    the background, moves, the generator of the pictures, the map. Where the picture of the
    background begins is left out: what can be seen of it is in the observations.

    Raises:
        ValueError: if the state is not of this form.
    """
    parts = _GENERATOR.split(state)
    if len(parts) != 4:
        raise ValueError("this version of ProcGen saves its levels in another form")
    *_, figures, grid = parts
    moves = len(figures) - _HEAD - _MOVES
    return figures[_COUNTERS : moves - _SHIFT] + figures[moves:-_HEAD] + grid
