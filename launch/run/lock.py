"""Lock a run folder, so that one process at a time trains in it."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Any

from launch.errors import UserError

LOCK = ".lock"


class RunLock:
    """Holds a run folder while the run is on; the lock goes with the process, however it ends.

    Args:
        folder: of the run; it exists.

    Raises:
        UserError: on entry, if another process holds it, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> RunLock:
        try:
            self._file = (self.folder / LOCK).open("a+")
        except OSError as error:
            raise UserError(f"run_dir: {self.folder} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise UserError(
                f"run_dir: {self.folder} is in use by {holder}: wait until that run ends, or name "
                "another folder"
            ) from None
        return self

    def sign(self) -> None:
        """Write who holds the folder, for those who ask for it meanwhile."""
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        self._file.flush()

    def __exit__(self, *error: Any) -> None:
        self._file.close()
