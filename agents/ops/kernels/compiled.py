"""Where compiled kernels stay between runs."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from agents.ops.kernels.spec import KernelUnavailableError, Spec

HERE = Path(__file__).parent
HEADERS = ("lanes.h", "fast_weights.h")

log = logging.getLogger(__name__)


def cached(spec: Spec, build: Callable[[Path], None], suffix: str, *key: str) -> Path:
    """Return the file that `build(path)` makes of `spec`, from the cache unless something is new.

    What may be new is the sources or the `key`: compiler, flags, processor. The cache is
    `$SRWM_CACHE`, by default `~/.cache/srwm`; where that cannot be written, what is missing is
    built into a folder of this process. Processes that build the same file at once do so each on
    its own; all results are good. A file's name tells its contents, so a damaged one is replaced.

    Raises:
        KernelUnavailableError: if `build` does, or if no folder can be written.
    """
    sources = [(HERE / name).read_text() for name in (spec.source, *HEADERS)]
    name = _digest("\0".join([spec.source, *sources, *spec.macros, *key]).encode())
    for folder in _folders():
        try:
            return _find(folder, name, suffix) or _build(folder, name, suffix, build)
        except OSError as error:
            log.warning("a compiled kernel cannot be kept: %s", error)
    raise KernelUnavailableError("no folder for it can be written")


def _find(folder: Path, name: str, suffix: str) -> Path | None:
    for path in folder.glob(f"{name}-*{suffix}"):
        if path.name == f"{name}-{_digest(path.read_bytes())}{suffix}":
            return path
        path.unlink(missing_ok=True)  # another process may have seen it too
    return None


def _build(folder: Path, name: str, suffix: str, build: Callable[[Path], None]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder) as unfinished:
        new = Path(unfinished) / f"kernel{suffix}"
        build(new)
        path = folder / f"{name}-{_digest(new.read_bytes())}{suffix}"
        os.replace(new, path)
    return path


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _folders() -> Iterator[Path]:
    if folder := os.environ.get("SRWM_CACHE"):
        yield Path(folder)
    elif folder := os.environ.get("XDG_CACHE_HOME"):
        yield Path(folder) / "srwm"
    else:
        with suppress(RuntimeError):  # an account without a home
            yield Path.home() / ".cache" / "srwm"
    yield _own_folder()


@cache
def _own_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="srwm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
