"""Standard output and error that may go away without ending the run."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from typing import Any, TextIO

log = logging.getLogger(__name__)


class Output:
    """A text stream that is written to as long as that is possible.

    The reader of a pipe may end (`| head`), or the device may be full. Then one line says so on
    standard error, and what is written later is dropped: a run of days must not end for it.

    Args:
        stream: that is written to.
        name: of the stream, for that line.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._broken = False

    def write(self, text: str) -> int:
        """Write, or drop the text if that is no longer possible."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, if that is still possible."""
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, action: Any) -> None:
        if self._broken:
            return
        try:
            action()
        except OSError as error:
            self._broken = True
            self._drop_what_is_buffered()
            if self._name != "standard error":
                reason = error.strerror or type(error).__name__
                log.warning(
                    "%s cannot be written any more (%s): the run goes on without it",
                    self._name,
                    reason,
                )

    def _drop_what_is_buffered(self) -> None:
        """Point the stream's file at nothing, or Python would fail to flush it at the end."""
        with contextlib.suppress(OSError, ValueError, io.UnsupportedOperation):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)


def keep_output_alive() -> None:
    """Let standard output and error go away, and show on an ASCII terminal what it can show."""
    for name, words in (("stdout", "standard output"), ("stderr", "standard error")):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
            setattr(sys, name, Output(stream, words))
