"""Examine this machine for `srwm doctor`: what it has, what it lacks, how long a run takes."""

from __future__ import annotations

import importlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import torch
from rich.table import Table
from rich.text import Text

from agents.ops import kernels
from envs.procgen_env import REMEDY
from envs.registry import import_procgen

SAMPLE_KERNEL = kernels.Spec("srwm.cpp", rows=52, size=16, outputs=16, dtype=torch.float32)


class Finding(NamedTuple):
    """One thing that a run needs, or is faster with."""

    name: str
    found: str
    remedy: str = ""  # what to do; empty where all is well
    needed: bool = True  # without it nothing runs; otherwise it is only slower


def examine() -> Iterator[Finding]:
    """Check Python, torch, GPU, compilers, Ray and ProcGen; yield one finding for each."""
    yield _python()
    yield Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} CPU threads")
    yield _gpu()
    yield _kernel("cpu", "C++ compiler", "install g++ or clang++ (apt install g++)")
    if torch.cuda.is_available():
        yield _kernel("cuda", "NVRTC", 'install it: pip install "srwm[cuda]"')
    yield _ray()
    yield _procgen()


def findings_table(findings: list[Finding]) -> Table:
    """Return the findings as a table."""
    table = Table(box=None, header_style="bold")
    for name in ("", "here", "to do"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        mark = finding.remedy or Text("ok", style="green")
        table.add_row(finding.name, finding.found, mark)
    return table


def forecast(total_frames: int, frames_per_second: float) -> str:
    """Return a line that says how long `total_frames` frames take on this machine."""
    hours = total_frames / frames_per_second / 3600
    time = f"{hours:,.1f} hours" if hours >= 1 else f"{60 * hours:,.1f} minutes"
    return f"{total_frames:,} frames at {frames_per_second:,.0f} frames/s take {time} here"


def _python() -> Finding:
    supported = (3, 10) <= sys.version_info[:2] <= (3, 12)
    remedy = "" if supported else "use Python 3.10, 3.11 or 3.12: ProcGen has no others"
    return Finding("Python", platform.python_version(), remedy)


def _gpu() -> Finding:
    driver = _driver()
    if torch.cuda.is_available():
        capability = "{}.{}".format(*torch.cuda.get_device_capability())
        return Finding(
            "GPU",
            f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()} (capability "
            f"{capability}), driver {driver}, torch for CUDA {torch.version.cuda}",
        )
    if driver is None:
        return Finding("GPU", "none: the learner uses the CPU")
    built = torch.version.cuda or "none"
    return Finding(
        "GPU",
        f"driver {driver}, but torch (for CUDA: {built}) cannot use it",
        "install the torch build that fits the driver: https://pytorch.org/get-started/locally",
        needed=False,
    )


def _driver() -> str | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    query = [command, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return done.stdout.split("\n")[0].strip() or None


def _kernel(device: str, name: str, remedy: str) -> Finding:
    if kernels.library(SAMPLE_KERNEL, torch.device(device)) is None:
        return Finding(name, "the SRWM falls back to its slower reference", remedy, needed=False)
    return Finding(name, f"compiles the SRWM's kernel for {device}")


def _ray() -> Finding:
    try:
        importlib.import_module("ray")
    except ImportError as error:
        return Finding("Ray", str(error), 'pip install "ray>=2.52", or launch.mode=local', False)
    return Finding("Ray", version("ray"))


def _procgen() -> Finding:
    try:
        # Its C++ library is loaded, and a game stepped, only when an environment is made.
        env = import_procgen().ProcgenGym3Env(2, "bigfish", num_threads=1)
        env.act(np.zeros(2, np.int32))
        env.observe()
    except (ImportError, OSError, RuntimeError) as error:
        remedy = f"{REMEDY}; other environments do run"
        return Finding("ProcGen", str(error).split("\n")[0], remedy, needed=False)
    return Finding("ProcGen", "steps its games")
