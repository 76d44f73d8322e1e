"""The protocol of a flow, which makes updates wherever its parts are placed, and its reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from envs import Episode
from learners import NonfiniteUpdate, Rollout


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


class KeptState(NamedTuple):
    """A copy of the learner's state."""

    state: dict[str, Any]
    seconds: float  # that the learner took to make it


class Trial(NamedTuple):
    """How a network does on what it does not learn from."""

    score: float  # higher is better
    metrics: dict[str, float]


class UpdateReport(NamedTuple):
    """One learner update, and what arrived on the way to it."""

    frames: int  # environment steps learnt from so far
    version: int  # of the weights after it
    metrics: dict[str, float]  # of the learner
    rollouts: list[RolloutInfo]  # that arrived since the last report
    queue_depth: float  # batches that still wait
    faults: dict[str, int] = {}  # noqa: RUF012  # how often each happened since the start
    trial: Trial | None = None  # if there was one since the last report


def passes(every: int, before: int, after: int) -> bool:
    """Return whether a multiple of `every` lies above `before`, and not above `after`."""
    return before // every < after // every


class FlowState(NamedTuple):
    """What a new flow needs to continue where another one was saved."""

    learner: dict[str, Any]  # `Learner.state()`
    # Of each worker its `save()`, for a flow that continues them; None: they begin new episodes.
    workers: list[dict[str, Any]] | None = None
    waiting: Sequence[Rollout] = ()  # what the workers made and the learner has not learnt from
    turn: int = 0  # the worker that acts next

    @property
    def frames(self) -> int:
        """Environment steps learnt from so far."""
        return int(self.learner["frames"])

    @property
    def version(self) -> int:
        """The version of the weights."""
        return int(self.learner["version"])


class Flow(Protocol):
    """One or several learners at work, and what brings them their data."""

    def update(self) -> UpdateReport:
        """Wait for the next learner update."""

    def save(self) -> FlowState:
        """Return all that a new flow needs to continue from here."""

    def newest(self) -> FlowState | None:
        """Return the newest copy of what `save` returns, at once; None if none is kept."""

    def nonfinite(self) -> Sequence[NonfiniteUpdate]:
        """Return what each learner had in the update for which training is given up, if it is."""

    def close(self) -> None:
        """Stop everything that runs in the background."""
