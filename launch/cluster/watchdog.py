"""Log what a run waits for when it makes no progress."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

FIRST_SECONDS = 30.0  # without progress, before the first message
NEXT_SECONDS = 60.0  # between two messages


class Watchdog:
    """Logs what a run waits for: after 30 s without progress, then every minute.

    Args:
        clock: the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.progress()

    def progress(self) -> None:
        """Note that the run got further."""
        self._since = self._clock()
        self._next = self._since + FIRST_SECONDS

    def look(self, describe: Callable[[], str]) -> None:
        """Log `describe()` if the run has stood still for long enough."""
        now = self._clock()
        if now >= self._next:
            self._next = now + NEXT_SECONDS
            log.warning("no update for %.0f s: %s", now - self._since, describe())
