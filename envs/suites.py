"""ProcGen's games, the modes that each has, and the suites of tasks.

The tables are kept here, and compared with the installed package by a test, because importing
`procgen` to read them would import gym as well, and because the modes stand in its C++ code alone:
asked for a mode that a game does not have, it ends the process.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Mode = Literal["easy", "hard", "memory", "exploration", "extreme"]

MODES: tuple[Mode, ...] = ("easy", "hard", "memory", "exploration", "extreme")

MEMORY_GAMES = ("caveflyer", "dodgeball", "heist", "jumper", "maze", "miner")
EXTREME_GAMES = ("chaser", "dodgeball", "leaper", "starpilot")

EXPLORATION_LEVELS = {
    "caveflyer": 1259048185,
    "climber": 1561126160,
    "coinrun": 1949448038,
    "heist": 876640971,
    "jumper": 1434825276,
    "leaper": 1318677581,
    "maze": 158988835,
    "ninja": 1123500215,
}
"""The one level (of the hard distribution) that mode `exploration` plays."""

GAMES = (
    "bigfish",
    "bossfight",
    "caveflyer",
    "chaser",
    "climber",
    "coinrun",
    "dodgeball",
    "fruitbot",
    "heist",
    "jumper",
    "leaper",
    "maze",
    "miner",
    "ninja",
    "plunder",
    "starpilot",
)


def modes_of(game: str) -> tuple[Mode, ...]:
    """Return the distribution modes that a game has."""
    lacking = {
        "memory": game not in MEMORY_GAMES,
        "exploration": game not in EXPLORATION_LEVELS,
        "extreme": game not in EXTREME_GAMES,
    }
    return tuple(mode for mode in MODES if not lacking.get(mode, False))


class Suite(NamedTuple):
    """Tasks that are trained together, and for games of ProcGen the levels that go with them."""

    tasks: tuple[str, ...]  # names as in `envs.tasks`
    distribution_mode: Mode | None = None  # None: the configuration says it
    num_levels: int | None = None  # of training; None: the configuration says it


SUITES = {
    "procgen-easy6": Suite(
        ("bigfish", "fruitbot", "maze", "leaper", "plunder", "starpilot"), "easy", 200
    ),
    "procgen-memory4": Suite(("dodgeball", "heist", "maze", "miner"), "memory", 500),
    "procgen-easy16": Suite(GAMES, "easy", 200),
    "procgen-hard16": Suite(GAMES, "hard", 500),
}
"""The first two are the paper's (arXiv 2202.05780), the others ProcGen's own benchmark."""


def register_suite(name: str, suite: Suite) -> None:
    """Register a suite: in `envs.tasks` its name stands for all of its tasks.

    Raises:
        ValueError: if a game, or another suite, has that name.
    """
    if name in GAMES or SUITES.get(name, suite) != suite:
        raise ValueError(f"suite {name!r} is registered already: choose another name")
    SUITES[name] = suite
