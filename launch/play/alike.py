"""Join runs that differ in their seed only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from launch.config.schema import CommonConfig
from launch.errors import UserError
from launch.run.folder import RunFolder

C = TypeVar("C", bound=CommonConfig)

# What else than the seed may differ between runs that are joined: it does not change the learning.
FREE: Any = {
    **dict.fromkeys(
        ("seed", "run_dir", "launch", "checkpoint", "log_every_frames", "held_out"), True
    ),
    "envs": {"threads"},
}


def join_alike(opened: Sequence[tuple[RunFolder, C]]) -> list[list[tuple[RunFolder, C]]]:
    """Return the runs in groups that differ in their seed only.

    Raises:
        UserError: if two runs have the same configuration and seed.
    """
    groups: dict[str, list[tuple[RunFolder, C]]] = {}
    for run, config in opened:
        alike = groups.setdefault(config.model_dump_json(exclude=FREE), [])
        for other, known in alike:
            if known.seed == config.seed:
                raise UserError(
                    f"{run.path}: has the configuration and the seed of {other.path}: "
                    "leave one of them out"
                )
        alike.append((run, config))
    return [*groups.values()]
