"""Learning rate schedules: constant, linear or cosine over the frames of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

ScheduleName = Literal["linear", "constant", "cosine"]


class Schedule:
    """The learning rate as a function of the frames learnt from.

    `linear` falls to 0 at `total_frames` in a line, `cosine` along half a cosine, `constant` stays.

    A run that is resumed with another length or shape does not jump: the rate goes on from where it
    was and falls to 0 at the new end. With another learning rate it starts from that one. Where it
    had come to 0 (a finished run) it is what the new settings say.

    Args:
        name: of the shape.
        rate: at the start.
        total_frames: the length of the run.
    """

    def __init__(self, name: ScheduleName, rate: float, total_frames: int) -> None:
        self.name = name
        self.given = rate
        self.total_frames = total_frames
        self._since = 0  # frames
        self._initial = rate  # the rate at that time

    def rate(self, frames: int) -> float:
        """Return the learning rate after `frames` frames."""
        if self.name == "constant":
            return self._initial
        done = (frames - self._since) / max(1, self.total_frames - self._since)
        if self.name == "linear":
            return self._initial * max(0.0, 1 - done)
        return self._initial * (1 + math.cos(math.pi * min(1.0, done))) / 2

    def state(self) -> dict[str, Any]:
        """Return what `load` needs."""
        return {
            "name": self.name,
            "rate": self.given,
            "total_frames": self.total_frames,
            "since": self._since,
            "initial": self._initial,
        }

    def load(self, state: Mapping[str, Any], frames: int) -> None:
        """Go on at `frames` from `state()`, which may be of other settings."""
        before = Schedule(state["name"], state["rate"], state["total_frames"])
        before._since, before._initial = state["since"], state["initial"]
        rate = before.rate(frames)
        if self.given != before.given:
            self._since = frames
        elif (self.name, self.total_frames) == (before.name, before.total_frames):
            self._since, self._initial = before._since, before._initial
        elif rate > 0:
            self._since, self._initial = frames, rate
