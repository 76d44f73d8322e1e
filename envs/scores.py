"""Normalised returns, with the constants of the ProcGen paper.

`(R - Rmin) / (Rmax - Rmin)`: 0 is what can be had without seeing, 1 what can be had at all; Rmin
and Rmax are those of the paper's appendix (Cobbe et al., "Leveraging Procedural Generation to
Benchmark Reinforcement Learning", arXiv 1912.01588). The constants in OpenAI's train-procgen are
the same but for two of the easy mode: there jumper is 1..10 and leaper 1.5..10.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

NORMALISATION = "ProcGen paper, arXiv 1912.01588, appendix"
"""Which set of constants a normalised return is of, in words."""

RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "easy": {
        "bigfish": (1, 40),
        "bossfight": (0.5, 13),
        "caveflyer": (3.5, 12),
        "chaser": (0.5, 13),
        "climber": (2, 12.6),
        "coinrun": (5, 10),
        "dodgeball": (1.5, 19),
        "fruitbot": (-1.5, 32.4),
        "heist": (3.5, 10),
        "jumper": (3, 10),
        "leaper": (3, 10),
        "maze": (5, 10),
        "miner": (1.5, 13),
        "ninja": (3.5, 10),
        "plunder": (4.5, 30),
        "starpilot": (2.5, 64),
    },
    "hard": {
        "bigfish": (0, 40),
        "bossfight": (0.5, 13),
        "caveflyer": (2, 13.4),
        "chaser": (0.5, 14.2),
        "climber": (1, 12.6),
        "coinrun": (5, 10),
        "dodgeball": (1.5, 19),
        "fruitbot": (-0.5, 27.2),
        "heist": (2, 10),
        "jumper": (1, 10),
        "leaper": (1.5, 10),
        "maze": (4, 10),
        "miner": (1.5, 20),
        "ninja": (2, 10),
        "plunder": (3, 30),
        "starpilot": (1.5, 35),
    },
}
"""(Rmin, Rmax) by distribution mode and game."""


Return = TypeVar("Return", float, NDArray[np.float64])


def normalise(task: str, mode: str, mean_return: Return) -> Return | None:
    """Return the normalised score of a mean undiscounted return, or of an array of them.

    None where no range was published: modes other than easy and hard, tasks outside ProcGen.
    """
    bounds = RANGES.get(mode, {}).get(task)
    if bounds is None:
        return None
    low, high = bounds
    return (mean_return - low) / (high - low)
