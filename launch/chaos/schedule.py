"""Draw from a seed which fault happens when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np

Kind = Literal[
    "worker killed",
    "learner killed",
    "driver killed",
    "node lost",
    "node joins",
    "environment raises",
    "environment hangs",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

IN_20_MINUTES: dict[Kind, int] = {
    "worker killed": 100,
    "learner killed": 5,
    "driver killed": 3,
    "node lost": 10,
    "node joins": 10,  # one after each loss
    "environment raises": 10,
    "environment hangs": 3,
}
OF_ENVIRONMENTS: tuple[Kind, ...] = ("environment raises", "environment hangs")


class Fault(NamedTuple):
    """A fault that is due."""

    at: float  # seconds after the first row of metrics
    kind: Kind
    draw: float  # in [0, 1): which of the possible victims


def fault_counts(minutes: float, environments: bool = True) -> dict[Kind, int]:
    """Return how many faults of each kind there are in so many minutes, at least one.

    Args:
        minutes: in which faults happen.
        environments: whether environments can be made to fail.
    """
    return {
        kind: math.ceil(number * minutes / 20)
        for kind, number in IN_20_MINUTES.items()
        if environments or kind not in OF_ENVIRONMENTS
    }


def make_schedule(seed: int, seconds: float, counts: Mapping[Kind, int]) -> list[Fault]:
    """Return the faults in the order of their times; the same for the same arguments.

    The time is divided into as many equal parts as a kind has faults, and each part gets one, at a
    uniformly drawn time. A node that is lost comes back in the same part.

    Args:
        seed: of all draws.
        seconds: in which faults happen.
        counts: the number of faults of each kind.
    """
    faults: list[Fault] = []
    for kind, number in counts.items():
        index = KINDS.index(kind)
        if kind == "node joins":  # drawn with the losses
            continue
        rng = np.random.default_rng([seed, index])
        for part in range(number):
            first, second = sorted((part + rng.random(2)) * seconds / number)
            faults.append(Fault(first, kind, rng.random()))
            if kind == "node lost":
                faults.append(Fault(second, "node joins", rng.random()))
    return sorted(faults)
