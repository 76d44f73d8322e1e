"""Rollouts in, batches out: a batch is cut from waiting rollouts by environments, oldest first."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)  # Python 3.10 has no generic NamedTuple
class Piece(Generic[T]):
    """The environments [start, stop) of one rollout."""

    rollout: T  # the rollout itself, or a reference to it
    start: int
    stop: int


class Batcher(Generic[T]):
    """A queue of rollouts [T+1, N] from which batches of B unrolls are taken.

    A rollout is never cut along time, and its environments need not divide the batch.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.waiting = 0  # unrolls in the queue
        self._queue: deque[Piece[T]] = deque()

    @property
    def depth(self) -> float:
        """Batches waiting."""
        return self.waiting / self.batch_size

    @property
    def ready(self) -> bool:
        """Whether a batch is there."""
        return self.waiting >= self.batch_size

    def add(self, rollout: T, num_envs: int) -> None:
        """Queue a rollout of `num_envs` environments."""
        self._queue.append(Piece(rollout, 0, num_envs))
        self.waiting += num_envs

    def take(self, unrolls: int) -> list[Piece[T]]:
        """Remove and return the oldest pieces that make up so many unrolls, at most those there."""
        pieces, missing = [], unrolls
        while missing:
            oldest = self._queue.popleft()
            cut = min(oldest.stop, oldest.start + missing)
            pieces.append(replace(oldest, stop=cut))
            if cut < oldest.stop:
                self._queue.appendleft(replace(oldest, start=cut))
            missing -= cut - oldest.start
        self.waiting -= unrolls
        return pieces

    def pieces(self) -> list[Piece[T]]:
        """Return what waits, oldest first."""
        return list(self._queue)
