"""Time a learner update by its parts, with hooks on the learner itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from launch.machine.timing import Stopwatch
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
"""In the order of an update; `rest` is what it does before the encoder and after the optimiser."""


@contextmanager
def watched(learner: Learner) -> Iterator[dict[str, float]]:
    """Time the one update that is made inside; the dictionary holds seconds by part afterwards.

    Between the gradients of the heads and those of the encoder, autograd has only the core to go
    through: the last gradient of each of the three ends its part of the backward pass. (A core
    without parameters has no gradient of its own: its time counts for the encoder.)
    """
    watch, seconds = Stopwatch(learner.device), dict.fromkeys(PARTS, 0.0)

    def after(part: str) -> Callable[..., None]:
        return lambda *_: watch.lap(part)

    agent, optimiser = learner.agent, learner.optimiser
    zero_grad = optimiser.zero_grad

    def timed_zero_grad(set_to_none: bool = True) -> None:
        watch.lap("heads, V-trace, losses")
        zero_grad(set_to_none)
        watch.lap("optimiser")

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
        # Before the step come the norm of the gradients, the metrics, and on a GPU the wait for it.
        optimiser.register_step_post_hook(after("optimiser")),
    ]
    optimiser.zero_grad = timed_zero_grad  # type: ignore[method-assign]
    try:
        watch.lap("start")
        yield seconds
        watch.lap("rest")
        seconds.update(watch.seconds())
    finally:
        del optimiser.zero_grad
        for handle in handles:
            handle.remove()
