"""Times of small pieces of work on a machine that others use too."""

from __future__ import annotations

import math
import statistics
import subprocess
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import torch

from agents.cpu_info import cpu_fields

Work = Callable[[], object]
Key = TypeVar("Key", bound=Hashable)

SHORTEST_SAMPLE = 2e-3  # seconds: a call that takes less is repeated, so that a clock can tell it
FEWEST_ROUNDS = 5


def medians(
    candidates: Mapping[Key, Work], seconds: float, device: torch.device
) -> dict[Key, float]:
    """Return the median of the seconds that a call of each candidate takes.

    They take turns, round after round for so many seconds, so that what else the machine does slows
    all of them alike. On a CPU it is the processor's time, which others on the same core do not
    lengthen and which is the clock's for one thread; on a GPU the clock's, until its work is done.
    """
    repeats = {}
    for name, work in candidates.items():
        work()  # compiles, allocates
        repeats[name] = math.ceil(SHORTEST_SAMPLE / _seconds(work, 1, device))
    samples: dict[Key, list[float]] = {name: [] for name in candidates}
    rounds, started = 0, time.perf_counter()
    while rounds < FEWEST_ROUNDS or time.perf_counter() - started < seconds:
        for name, work in candidates.items():
            samples[name].append(_seconds(work, repeats[name], device))
        rounds += 1
    return {name: statistics.median(values) for name, values in samples.items()}


def _seconds(work: Work, repeats: int, device: torch.device) -> float:
    started = _now(device)
    for _ in range(repeats):
        work()
    return (_now(device) - started) / repeats


def wall_clock(device: torch.device) -> float:
    """Return seconds of the host's clock, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _now(device: torch.device) -> float:
    return time.process_time() if device.type == "cpu" else wall_clock(device)


def replayed(work: Work) -> Work:
    """Return `work` as a CUDA graph, which takes the GPU's time and none of Python's."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # what a first call does cannot be captured
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def saved_bytes(work: Work) -> int:
    """Return the bytes that `work` keeps for a backward pass, shared storage counted once."""
    storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        work()
    return sum(storage.nbytes() for storage in storages.values())


def clock(device: torch.device, work: Work) -> tuple[float | None, str]:
    """Return the device's clock in Hz while it is at `work`, and where that was read.

    In a virtual machine the CPU's may be the nominal one. None if it cannot be read.
    """
    if device.type == "cpu":
        work()
        rates = [float(value) for value in cpu_fields("cpu MHz")]
        return (max(rates) * 1e6 if rates else None), "/proc/cpuinfo, cpu MHz"
    uuid = torch.cuda.get_device_properties(device).uuid
    command = ["nvidia-smi", f"--id=GPU-{uuid}", "--query-gpu=clocks.sm"]
    command.append("--format=csv,noheader,nounits")
    source = "nvidia-smi, clocks.sm, under load"
    try:
        question = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except OSError:
        return None, source
    while question.poll() is None:
        work()
        torch.cuda.synchronize(device)
    answer = question.communicate()[0].strip()
    return (float(answer) * 1e6 if answer.isdecimal() else None), source
