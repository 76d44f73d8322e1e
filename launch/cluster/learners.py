"""The learners of a run as one: they start together and share every batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayActorError, RayTaskError

from launch.cluster.pool import first_line
from launch.errors import RunError
from launch.flow.batcher import Piece
from learners import TrainingDivergedError

# One update runs and the next one is ready to; more would only raise the lag.
UPDATES_IN_FLIGHT = 2


class Update(NamedTuple):
    """An update that the learners have been asked for."""

    report: ray.ObjectRef  # the first learner's
    weights: ray.ObjectRef | None  # where it publishes them
    pending: list[ray.ObjectRef]  # the reports of those learners that are not done


class LearnerGroup:
    """One learner, or several that take each step together.

    Args:
        start: starts a learner, given its rank.
        size: the number of learners.
        saved: the state that they continue from.
    """

    def __init__(
        self, start: Callable[[int], Any], size: int, saved: dict[str, Any] | None
    ) -> None:
        self.actors = [start(rank) for rank in range(size)]
        self._asked = 0  # updates
        place = self.actors[0].meeting_place.remote() if size > 1 else None
        shared = ray.put(saved)
        self._starts = [actor.start.remote(place, shared) for actor in self.actors]

    def wait(self) -> None:
        """Wait until every learner has started."""
        for start in self._starts:
            self.result(start)

    def update(self, shares: Sequence[Sequence[Piece[ray.ObjectRef]]], publish: bool) -> Update:
        """Ask for an update from a batch: a share of it for each learner.

        Args:
            shares: the pieces of rollouts for each learner; each makes the same number of unrolls.
            publish: whether the new weights are wanted.
        """
        number, self._asked = self._asked, self._asked + 1
        refs = []
        for rank, (actor, pieces) in enumerate(zip(self.actors, shares, strict=True)):
            cuts = [(piece.start, piece.stop) for piece in pieces]
            rollouts = (piece.rollout for piece in pieces)
            refs.append(actor.update.remote(number, cuts, publish and rank == 0, *rollouts))
        report, weights = refs[0]
        return Update(report, weights if publish else None, pending=[each for each, _ in refs])

    def weights(self) -> ray.ObjectRef:
        """Return a reference to the current weights."""
        weights: ray.ObjectRef = self.actors[0].weights.remote()
        return weights

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, after all updates that have been asked for."""
        state: dict[str, Any] = self.result(self.actors[0].state.remote())
        return state

    def result(self, done: ray.ObjectRef) -> Any:
        """Return what a learner has done.

        Raises:
            RunError: if it died, or if it lost the others of its group.
        """
        try:
            return ray.get(done)
        except RayActorError as error:
            raise RunError(f"the learner died: {first_line(error)}") from error
        except RayTaskError as error:
            # A learner that dies leaves the others in the middle of a sum, which then fails.
            if len(self.actors) == 1 or isinstance(error, TrainingDivergedError):
                raise
            raise RunError(f"a learner of the group failed: {first_line(error.cause)}") from error

    def close(self) -> None:
        """Stop the learners."""
        for actor in self.actors:
            ray.kill(actor)
