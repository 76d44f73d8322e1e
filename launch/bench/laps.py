"""Where the time of a learner update goes, as hooks on the very learner tell it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from learners import Learner

PARTS = (
    "encoder",
    "core",
    "heads, V-trace, losses",
    "backward: heads, losses",
    "backward: core",
    "backward: encoder",
    "optimiser",
    "rest",
)
"""In the order in which an update comes to them; `rest` is what it does before and after."""


class _Moment:
    """What a CUDA event is, by the clock of the host."""

    def record(self) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, end: _Moment) -> float:
        """Return milliseconds."""
        return (end.at - self.at) * 1e3


class Laps:
    """A stopwatch that is told what the time since its last lap went into.

    On a GPU the laps are events in its stream: nothing waits for them, and what the GPU idles while
    Python gets the next kernel ready belongs to the part that it waits in.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._laps: list[tuple[str, Any]] = []  # parts, and what has a moment's methods

    def lap(self, part: str) -> None:
        """End a lap, which went into `part`; the first one only starts the watch."""
        on_gpu = self.device.type == "cuda"
        moment = torch.cuda.Event(enable_timing=True) if on_gpu else _Moment()
        moment.record()
        self._laps.append((part, moment))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each part; their sum is from the first lap to the last."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = dict.fromkeys(PARTS, 0.0)
        for (_, start), (part, end) in zip(self._laps, self._laps[1:], strict=False):
            seconds[part] += start.elapsed_time(end) / 1e3
        return seconds


@contextmanager
def watched(learner: Learner) -> Iterator[Laps]:
    """Time by parts the one update that is made inside.

    Between the heads' gradients and those of the encoder, autograd has only the core to go through:
    so the last gradient of each of the three ends its part of the backward pass. (A core without
    parameters has none of its own: what it takes counts as the encoder's.)
    """
    laps = Laps(learner.device)

    def after(part: str) -> Callable[..., None]:
        return lambda *_: laps.lap(part)

    agent, optimiser = learner.agent, learner.optimiser
    zero_grad = optimiser.zero_grad

    def timed_zero_grad(set_to_none: bool = True) -> None:
        laps.lap("heads, V-trace, losses")
        zero_grad(set_to_none)
        laps.lap("optimiser")

    backward: dict[str, tuple[nn.Module, ...]] = {
        "backward: heads, losses": (agent.policy, agent.value),
        "backward: core": (agent.core,),
        "backward: encoder": (agent.encoder,),
    }
    handles = [
        agent.register_forward_pre_hook(after("rest")),
        agent.core.register_forward_pre_hook(after("encoder")),
        agent.core.register_forward_hook(after("core")),
        *(
            parameter.register_post_accumulate_grad_hook(after(part))
            for part, modules in backward.items()
            for module in modules
            for parameter in module.parameters()
        ),
        # Before the step come the gradients' norm, the metrics, and on a GPU the wait for them.
        optimiser.register_step_post_hook(after("optimiser")),
    ]
    optimiser.zero_grad = timed_zero_grad  # type: ignore[method-assign]
    try:
        laps.lap("start")
        yield laps
        laps.lap("rest")
    finally:
        del optimiser.zero_grad
        for handle in handles:
            handle.remove()
