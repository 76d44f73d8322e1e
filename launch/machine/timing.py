"""Time small pieces of work on a machine that others use too."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TypeVar

import torch

Work = Callable[[], object]
Key = TypeVar("Key", bound=Hashable)

SHORTEST_SAMPLE = 2e-3  # seconds: a call that takes less is repeated, so that a clock resolves it
FEWEST_ROUNDS = 5


def rounds(seconds: float, fewest: int = FEWEST_ROUNDS) -> Iterator[int]:
    """Count from 0 until `seconds` have passed, but at least to `fewest` - 1."""
    started = time.perf_counter()
    for number in itertools.count():
        if number >= fewest and time.perf_counter() - started >= seconds:
            return
        yield number


def medians(
    candidates: Mapping[Key, Work], seconds: float, device: torch.device
) -> dict[Key, float]:
    """Return the median of the seconds that a call of each candidate takes.

    The candidates take turns, round after round, so that other work on the machine slows all of
    them alike (`torch.utils.benchmark` times one after the other). On a CPU the clock counts the
    time of this process only; on a GPU it is the host's, until the work is done.
    """
    repeats = {}
    for name, work in candidates.items():
        work()  # compiles, allocates
        repeats[name] = math.ceil(SHORTEST_SAMPLE / _seconds(work, 1, device))
    samples: dict[Key, list[float]] = {name: [] for name in candidates}
    for _ in rounds(seconds):
        for name, work in candidates.items():
            samples[name].append(_seconds(work, repeats[name], device))
    return {name: statistics.median(values) for name, values in samples.items()}


def _seconds(work: Work, repeats: int, device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else lambda: wall_clock(device)
    started = clock()
    for _ in range(repeats):
        work()
    return (clock() - started) / repeats


def wall_clock(device: torch.device) -> float:
    """Return seconds of the host's clock, after the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Stopwatch:
    """Sums the seconds between laps by the part of the work that each lap belongs to.

    On a GPU the laps are events in its stream, and nothing waits for them: time in which the GPU
    waits for the next kernel from Python counts for the part that it waits in.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._laps: list[tuple[str, float, torch.cuda.Event | None]] = []

    def lap(self, part: str) -> None:
        """End a lap, which belongs to `part`; the first call only starts the watch."""
        event = None
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
        self._laps.append((part, time.perf_counter(), event))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each part; their sum is the time from first lap to last."""
        wall_clock(self._device)
        seconds: dict[str, float] = {}
        for (_, start, before), (part, end, after) in itertools.pairwise(self._laps):
            took = before.elapsed_time(after) / 1e3 if before and after else end - start
            seconds[part] = seconds.get(part, 0.0) + took
        return seconds


def replayed(work: Work) -> Work:
    """Return `work` as a CUDA graph, which takes the time of the GPU and none of Python."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # a graph cannot capture what only a first call does
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def saved_bytes(work: Work) -> int:
    """Return the bytes that `work` keeps for a backward pass; shared storage counts once."""
    storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is used twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        work()
    return sum(storage.nbytes() for storage in storages.values())
