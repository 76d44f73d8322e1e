"""The configuration section `held_out`: levels that a run does not learn from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class HeldOutConfig(BaseModel):
    """How often the agent plays levels that it does not learn from (ProcGen)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    every_frames: Annotated[int, Field(gt=0)] | None = None
    """Frames between two trials; null: never. In mode `local` training waits for a trial, in mode
    `ray` a process of its own plays, at the lowest priority."""
    episodes: Annotated[int, Field(gt=0)] = 10
    """Complete episodes of each game in a trial; the levels are the same in each."""
    split: Literal["validation", "test1", "test2", "test3"] = "validation"
    """Which levels. Those of the paper's tests are best left to `srwm eval`."""
