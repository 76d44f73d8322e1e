"""How rollouts reach the learner and weights the workers: the interface of both placements."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from envs import Episode


class RolloutInfo(NamedTuple):
    """What the driver needs to know of a rollout without opening it."""

    num_envs: int
    episodes: list[Episode]  # that ended in it
    seconds: float  # that it took


class LearnerReport(NamedTuple):
    """What the learner says of one update."""

    frames: int  # environment steps learnt from so far
    version: int  # of the weights after it
    metrics: dict[str, float]


class UpdateReport(NamedTuple):
    """One learner update, and what arrived on the way to it."""

    frames: int  # environment steps learnt from so far
    version: int  # of the weights after it
    metrics: dict[str, float]  # of the learner
    rollouts: list[RolloutInfo]  # that arrived since the last report
    queue_depth: float  # batches that still wait
    score: float | None = None  # of the weights, where they were tried; higher is better


class Flow(Protocol):
    """Workers and a learner at work."""

    def update(self) -> UpdateReport:
        """Wait for the next learner update."""

    def save(self) -> dict[str, Any]:
        """Return all that a new flow needs to continue from here: see `learners.checkpoint`."""

    def close(self) -> None:
        """Stop everything that runs in the background."""
