"""Supervise the learners as one: they share every batch, and restart together."""

from __future__ import annotations

import copy
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError, RayTaskError

from launch.cluster.faults import LostInputError, lost_input, reason
from launch.errors import RunError
from launch.flow.base import LearnerReport
from launch.flow.batcher import Piece
from learners import NonfiniteUpdate, TrainingDivergedError

log = logging.getLogger(__name__)

# One update runs and the next one is ready to; more would only raise the lag.
UPDATES_IN_FLIGHT = 2
# Seconds between two copies of the state, and the share of them that a copy takes at most.
KEEP_SECONDS, KEEP_SHARE = 30.0, 0.01
# Seconds until the learner is taken for hung: at least so many, for the first update compiles
# kernels; or a multiple of the slowest update.
LEAST_SECONDS, TIMES_SLOWEST = 600.0, 20.0
TICK_SECONDS = 1.0  # between two looks at what else has happened


class LearnerFailedError(Exception):
    """A learner died, hung or raised."""


class Update(NamedTuple):
    """An update that the learners have been asked for."""

    number: int
    report: ray.ObjectRef  # the first learner's
    weights: ray.ObjectRef | None  # where it publishes them
    state: ray.ObjectRef | None  # where it returns its state
    pending: list[ray.ObjectRef]  # what of it is not there yet
    rollouts: int  # that it learns from, or from parts of which


class Learnt(NamedTuple):
    """An update that is done."""

    report: LearnerReport
    weights: ray.ObjectRef | None  # where it published them


class LearnerGroup:
    """One learner, or several that take each step together.

    Args:
        start: starts a learner, given its rank.
        size: the number of learners.
        saved: the state that they continue from.
        faults: counts what goes wrong.
        max_restarts: how often they may be restarted without getting further.
        while_waiting: called every second while this waits for them to start.
        clock: the time in seconds.
    """

    def __init__(
        self,
        start: Callable[[int], Any],
        size: int,
        saved: dict[str, Any] | None,
        faults: Counter[str],
        max_restarts: int,
        while_waiting: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._size = size
        self._faults = faults
        self._max_restarts = max_restarts
        self._while_waiting = while_waiting
        self._clock = clock
        self._restarts = 0  # without getting further
        self._asked = 0  # updates, of these actors
        self._starts: list[ray.ObjectRef] = []  # what is not there until all have started
        self._slowest = 0.0  # seconds of an update
        self._keep_at = 0.0  # when the next copy of the state is due
        self._since = 0.0  # when the oldest update in flight became the oldest
        self.updates: deque[Update] = deque()  # in flight, in order
        self.newest: dict[str, Any] = {}  # state
        self.frames = 0  # learnt from so far
        self.version = 0  # of the weights after the last update
        self._begin(saved)

    @property
    def pending(self) -> list[ray.ObjectRef]:
        """What is not there yet of the oldest update in flight."""
        return self.updates[0].pending if self.updates else []

    def wait_for_start(self) -> None:
        """Wait until every learner has started.

        Raises:
            LearnerFailedError: if one does not.
        """
        starts = self._starts
        while starts:  # one that fails is seen at once, though the others wait to meet it
            done, starts = ray.wait(starts, timeout=TICK_SECONDS)
            for start in done:
                self._get(start)
            if not done:
                self._while_waiting()
        self._starts = []
        self.newest = self._get(self.actors[0].state.remote())
        self.frames, self.version = self.newest["frames"], self.newest["version"]
        self._keep_at = self._clock() + KEEP_SECONDS

    def ask(self, shares: Sequence[Sequence[Piece[ray.ObjectRef]]], publish: bool) -> None:
        """Ask for an update from a batch: a share of it for each learner.

        Args:
            shares: the pieces of rollouts for each learner; each makes the same number of unrolls.
            publish: whether the new weights are wanted.
        """
        number, self._asked = self._asked, self._asked + 1
        now = self._clock()
        keep = now >= self._keep_at
        if keep:
            self._keep_at = now + KEEP_SECONDS
        if not self.updates:
            self._since = now
        pending = []
        for rank, (actor, pieces) in enumerate(zip(self.actors, shares, strict=True)):
            first = rank == 0
            cuts = [(piece.start, piece.stop) for piece in pieces]
            rollouts = (piece.rollout for piece in pieces)
            answer = actor.update.remote(number, cuts, publish and first, keep and first, *rollouts)
            if first:
                report, weights, state = answer
            pending.append(answer[0])
        self.updates.append(
            Update(
                number,
                report,
                weights if publish else None,
                state if keep else None,
                # With the state: a copy that only the learner's node holds could be lost with it.
                [*pending, state] if keep else pending,
                rollouts=sum(map(len, shares)),
            )
        )

    def collect(self, done: ray.ObjectRef) -> Learnt | None:
        """Return the oldest update if `done` was what it lacked, else None.

        Raises:
            LearnerFailedError: if a learner died or raised.
            LostInputError: if rollouts of the update are lost; it is skipped.
            TrainingDivergedError: of the learner.
        """
        update = self.updates[0]
        try:
            ray.get(done)
        except TrainingDivergedError as error:  # the learner's own line, not Ray's traceback
            raise error.cause if isinstance(error, RayTaskError) else error from None
        except RayError as error:
            # In a group the others wait in the middle of a sum for the one that did not begin.
            if lost_input(error) and self._size == 1:
                self._skip(update)
                raise LostInputError from error
            raise LearnerFailedError(reason(error)) from error
        update.pending.remove(done)
        if update.pending:
            return None
        report: LearnerReport = ray.get(update.report)
        self._finish(report)
        if update.state:
            self._keep(update.state)
        return Learnt(report, update.weights)

    def check_overdue(self) -> None:
        """Look whether an update has taken too long.

        Raises:
            LearnerFailedError: if so.
        """
        seconds = self._clock() - self._since
        overdue = seconds > max(LEAST_SECONDS, TIMES_SLOWEST * self._slowest)
        # One that has answered is not late: it may be the driver that stood still.
        if self.updates and overdue and not ray.wait([*self.pending], timeout=0)[0]:
            raise LearnerFailedError(f"no update for {seconds:.0f} s")

    def restart(self, why: str) -> None:
        """Start the learners again from the newest state.

        Raises:
            RunError: if that has been tried too often.
        """
        while True:
            self._faults["rollouts_lost"] += sum(update.rollouts for update in self.updates)
            self.updates.clear()
            self.close()
            if self._restarts >= self._max_restarts:
                raise RunError(f"the learner failed {self._restarts + 1} times: {why}")
            self._restarts += 1
            self._faults["learner_restarts"] += 1
            log.warning("the learner died or failed and is restarted: %s", why)
            # Workers compare versions: one that was published must never stand for other weights.
            state = {**self.newest, "version": self.version + 1} if self.newest else None
            self._begin(state)
            try:
                self.wait_for_start()
                return
            except LearnerFailedError as error:
                why = str(error)

    def weights(self) -> ray.ObjectRef:
        """Return a reference to the current weights, once they are there.

        Raises:
            LearnerFailedError: if a learner failed.
        """
        weights: ray.ObjectRef = self.actors[0].weights.remote()
        self._get(weights)
        return weights

    def state(self) -> dict[str, Any]:
        """Return the state after all updates that have been asked for.

        Raises:
            LearnerFailedError: if a learner failed.
        """
        state: dict[str, Any] = self._get(self.actors[0].state.remote())
        return state

    def keep_now(self) -> None:
        """Make the newest state that of now, if the learner still answers."""
        with suppress(LearnerFailedError):
            self.newest = self.state()

    def nonfinite(self) -> list[NonfiniteUpdate]:
        """Return each learner's part of the update that ends the run; nothing if one is dead."""
        with suppress(LearnerFailedError):
            return [self._get(actor.nonfinite.remote()) for actor in self.actors]
        return []

    def describe(self) -> str:
        """Return what the learners do."""
        if self._starts:
            return "the learner starts or waits for a free CPU or GPU"
        if not self.updates:
            return "the learner waits for rollouts"
        return f"the learner has worked on an update for {self._clock() - self._since:.0f} s"

    def close(self) -> None:
        """Stop the learners."""
        for actor in self.actors:
            ray.kill(actor)

    def _begin(self, state: dict[str, Any] | None) -> None:
        self.actors = [self._start(rank) for rank in range(self._size)]
        self._asked = 0
        place = self.actors[0].meeting_place.remote() if self._size > 1 else None
        shared = ray.put(state)
        self._starts = [actor.start.remote(place, shared) for actor in self.actors]

    def _skip(self, update: Update) -> None:
        self.updates.popleft()
        self._since = self._clock()
        self._faults["rollouts_lost"] += update.rollouts
        self.actors[0].skip.remote(update.number)

    def _finish(self, report: LearnerReport) -> None:
        now = self._clock()
        self.updates.popleft()
        self._slowest = max(self._slowest, now - self._since)
        self._since = now
        self.frames, self.version = report.frames, report.version

    def _keep(self, ref: ray.ObjectRef) -> None:
        kept = ray.get(ref)
        # A copy of our own: Ray's is in the object store, and gone when that is closed.
        self.newest = copy.deepcopy(kept.state)
        self._keep_at = max(self._keep_at, self._clock() + kept.seconds / KEEP_SHARE)
        self._restarts = 0

    def _get(self, ref: ray.ObjectRef) -> Any:
        """Wait for an answer of the learners, and return a copy of it."""
        started = self._clock()
        while not ray.wait([ref], timeout=TICK_SECONDS)[0]:
            self._while_waiting()
            if self.updates and self._clock() - started > LEAST_SECONDS:
                raise LearnerFailedError(f"no answer for {LEAST_SECONDS:.0f} s")
        try:
            return copy.deepcopy(ray.get(ref))
        except RayError as error:
            raise LearnerFailedError(reason(error)) from error
