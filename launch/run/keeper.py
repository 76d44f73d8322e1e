"""Keep a copy of a run's newest state in memory, for a stop that cannot wait for the learner."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

SHARE = 0.01
"""Of the run's time that copying may take."""


class Keeper(Generic[T]):
    """Keeps what it was last given, and asks for something newer as often as that is cheap.

    Args:
        share: of the time that may be spent on copies.
        clock: the time in seconds.
    """

    def __init__(
        self, share: float = SHARE, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._share = share
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: T | None = None
        self._next = clock()

    def offer(self, copy: Callable[[], T]) -> None:
        """Call `copy` and keep its result, unless the last copy was too short a time ago."""
        started = self._clock()
        if started < self._next:
            return
        self.keep(copy())
        cost = self._clock() - started
        self._next = self._clock() + cost / self._share

    def keep(self, state: T) -> None:
        """Keep this state."""
        with self._lock:
            self._newest = state

    @property
    def newest(self) -> T | None:
        """The newest state that was kept."""
        with self._lock:
            return self._newest
