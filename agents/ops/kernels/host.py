"""Kernels on a CPU: the host's C++ compiler makes a shared library of the source."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

import torch

from agents.cpu_info import cpu_fields
from agents.ops.kernels.compiled import HERE, cached
from agents.ops.kernels.spec import KernelUnavailableError, Launch, Spec

FLAGS = [
    *("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast"),
    *("-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-pthread"),
]
log = logging.getLogger(__name__)

ITEMS_PER_THREAD = 32  # an item is some tens of microseconds, starting a thread about as much


def load(spec: Spec) -> Launch:
    """Compile `spec` unless it is in the cache, and return what runs its entry points.

    Raises:
        KernelUnavailableError: if there is no compiler, or it fails.
    """
    compiler = _compiler()
    # A folder may be shared by machines with other instructions or another compiler.
    key = (*FLAGS, *compiler, _cpu())
    path = cached(spec, lambda target: _compile(compiler, spec, target), ".so", *key)
    try:
        functions = ctypes.CDLL(os.fspath(path))
    except OSError as error:
        raise KernelUnavailableError(f"{path} cannot be loaded: {error}") from None

    def launch(name: str, arguments: ctypes.Structure, items: int) -> None:
        threads = max(1, min(torch.get_num_threads(), items // ITEMS_PER_THREAD))
        getattr(functions, name)(ctypes.byref(arguments), threads)

    return launch


def _compiler() -> list[str]:
    for command in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        words = shlex.split(command or "")
        if words and (found := shutil.which(words[0])):
            return [found, *words[1:]]
    raise KernelUnavailableError("no C++ compiler was found (g++, clang++, or $CXX)")


def _compile(compiler: list[str], spec: Spec, target: Path) -> None:
    log.info("compiling %s for this CPU (head size %d, once)", spec.source, spec.size)
    command = [*compiler, *FLAGS, *spec.macros, os.fspath(HERE / spec.source), "-o"]
    try:
        subprocess.run(
            [*command, os.fspath(target)], check=True, capture_output=True, text=True, timeout=300
        )
    except subprocess.CalledProcessError as error:
        reason = next((line for line in error.stderr.splitlines() if "error" in line), "")
        raise KernelUnavailableError(f"{compiler[0]} failed: {reason.strip()}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelUnavailableError(f"{compiler[0]} failed: {error}") from None


def _cpu() -> str:
    """Return the machine and all that distinguishes processors' instructions."""
    named = ("model name", "flags", "Features", "CPU part")
    fields = (f"{name}: {value}" for name in named for value in sorted(set(cpu_fields(name))))
    return " ".join([platform.machine(), *fields])
