"""Stop a run on a signal: after the current update if that ends soon, else at once."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

GRACE = 1.5
"""Seconds that an update may still take. `ray job stop` kills after three, SLURM after thirty."""


REMOTE_GRACE = 6.0
"""The same for a learner in another process, which may have two updates before it. It
is too long for a job that was submitted to Ray."""


class StopRequest:
    """Watches for SIGINT, SIGTERM and SIGHUP while it is open.

    The run asks `requested` between updates, saves, and ends. If an update takes longer than
    `grace`, or a second signal comes, `at_once` is called instead, in a thread, and has to end the
    process: it cannot wait for the main thread. A signal that the process ignores, as SIGHUP under
    nohup, stays ignored.

    Args:
        at_once: saves what there is in memory and ends the process. None: an update is waited for,
            and a second signal is a KeyboardInterrupt.
        grace: seconds.
    """

    def __init__(self, at_once: Callable[[], None] | None, grace: float = GRACE) -> None:
        self._at_once = at_once
        self._grace = grace
        self._timer: threading.Timer | None = None
        self._decided = threading.Lock()  # taken by whoever saves: the run, or `at_once`
        self._before: dict[signal.Signals, Any] = {}
        self.requested: signal.Signals | None = None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is not threading.main_thread():
            return self  # Python hands signals to the main thread only
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._timer:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def take_over(self) -> None:
        """Begin to save in the run itself; wait for ever if `at_once` is saving already."""
        self._decided.acquire()

    def release(self) -> None:
        """End what `take_over` began: the run has saved."""
        self._decided.release()

    def _handle(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number)
        if self.requested is None:
            self.requested = name
            log.warning("%s: saving", name.name)
            if self._at_once:
                self._timer = threading.Timer(self._grace, self._force)
                self._timer.daemon = True
                self._timer.start()
        elif self._at_once is None:
            raise KeyboardInterrupt
        else:
            log.warning("%s: saving now", name.name)
            threading.Thread(target=self._force, daemon=True).start()

    def _force(self) -> None:
        if self._decided.acquire(blocking=False):
            assert self._at_once is not None
            try:
                self._at_once()
            finally:
                os._exit(1)  # `at_once` has not ended the process: it failed
