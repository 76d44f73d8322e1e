"""Names a call that does not return."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

log = logging.getLogger(__name__)


class Watchdog:
    """Warns when a watched call has not returned for a while.

    A call that hangs cannot be interrupted from the same process; it can be named.

    Args:
        patience: seconds before the first warning; each later one waits twice as long.
    """

    def __init__(self, patience: float = 30.0) -> None:
        self.patience = patience
        self._calls: dict[int, tuple[str, float]] = {}  # by thread: name and start
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """Watch what happens inside, as `name`. Calls of one thread must not overlap."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="watchdog", daemon=True)
            self._thread.start()
        thread = threading.get_ident()
        self._calls[thread] = name, time.monotonic()
        try:
            yield
        finally:
            self._calls.pop(thread, None)

    def _look(self) -> None:
        warned: dict[tuple[int, float], float] = {}  # by call: the patience of the next warning
        while True:
            time.sleep(self.patience / 4)
            now, calls = time.monotonic(), dict(self._calls)
            warned = {key: warned[key] for key in warned if calls.get(key[0], ("", 0))[1] == key[1]}
            for thread, (name, started) in calls.items():
                wait = warned.get((thread, started), self.patience)
                if now - started >= wait:
                    log.warning("%s has not returned for %.0f s", name, now - started)
                    warned[thread, started] = 2 * wait


WATCHDOG = Watchdog()
"""Of all environments of this process."""
