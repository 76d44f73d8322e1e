"""Evaluation splits: which levels are played.

The paper's (arXiv 2202.05780): training levels, three test splits, one for validation. Different
seeds do not always make different levels: openai/procgen#100 found that a part of the easy test
levels equal training levels (coinrun 24 %, maze 20 %, ninja 4 %).
"""

from __future__ import annotations

from envs.config import EnvsConfig

HELD_OUT = {"validation": 500, "test1": 1000, "test2": 1200, "test3": 1400}
"""First level of each held-out split."""

HELD_OUT_LEVELS = 200

SPLITS = ("train", *HELD_OUT)


def split_config(name: str, config: EnvsConfig) -> EnvsConfig:
    """Return the configuration that plays a split of what `config` trains on.

    `train` is the configuration itself; the held-out splits exist for ProcGen alone.

    Raises:
        ValueError: if there is no such split, or not for these tasks.
    """
    if name not in SPLITS:
        raise ValueError(f"split {name!r} does not exist: use one of {', '.join(SPLITS)}")
    if name == "train":
        return config
    if not config.is_procgen:
        raise ValueError(
            f"split {name!r} is for ProcGen, and {config.tasks[0]!r} is none of its games: "
            "use train"
        )
    if config.distribution_mode == "exploration":
        raise ValueError(
            f"split {name!r} does not exist in mode 'exploration', one level: use train"
        )
    levels = {"start_level": HELD_OUT[name], "num_levels": HELD_OUT_LEVELS}
    return EnvsConfig.model_validate({**config.model_dump(), **levels})


def overlaps(name: str, config: EnvsConfig) -> bool:
    """Return whether a split plays levels that `config` trains on, as `train` always does.

    Raises:
        ValueError: as `split_config`.
    """
    split = split_config(name, config)
    if name == "train" or config.num_levels == 0:
        return True
    end, split_end = config.start_level + config.num_levels, split.start_level + split.num_levels
    return config.start_level < split_end and split.start_level < end
