"""Define what `srwm bench core` runs: the sizes, and the ops on random arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from agents.config import AgentConfig
from agents.ops.delta import delta
from agents.ops.srwm import LEARNING_RATES, srwm
from launch.machine.timing import Work


class Unroll(NamedTuple):
    """The size of an op's problem: T, B, H and D; outputs have size D too."""

    steps: int
    batch: int
    heads: int
    size: int


@dataclass(frozen=True)
class Problem:
    """What is measured: the cores and ops on `unroll`, the fused ops on two more unrolls."""

    agent: AgentConfig
    inputs: int  # features that a core reads
    unroll: Unroll
    long: Unroll
    wide: Unroll


_GPU = Problem(
    AgentConfig(),
    inputs=257,
    unroll=Unroll(50, 32, 8, 16),
    long=Unroll(4096, 32, 8, 16),
    wide=Unroll(50, 1024, 16, 16),
)
PAPER = {
    "cuda": _GPU,
    "cpu": replace(_GPU, long=Unroll(4096, 4, 8, 16), wide=Unroll(50, 128, 16, 16)),
}
"""By device: the paper's network and unroll, and two more unrolls, smaller on a CPU."""


class Op(NamedTuple):
    """An op, and how to draw its arguments; those that learn require a gradient."""

    call: Callable[..., tuple[Tensor, Tensor]]
    draw: Callable[[Unroll, torch.device], tuple[Tensor, ...]]


def draw_srwm(unroll: Unroll, device: torch.device) -> tuple[Tensor, ...]:
    """Return base, x, first and shift."""
    steps, batch, heads, size = unroll
    rows = 3 * size + LEARNING_RATES
    base = torch.randn(heads, rows, size, device=device) * size**-0.5
    x = torch.randn(steps, batch, heads, size, device=device).softmax(-1)
    first = torch.zeros(steps, batch, dtype=torch.bool, device=device)
    shift = torch.zeros(batch, heads, rows, size, device=device)
    return base.requires_grad_(), x.requires_grad_(), first, shift


def draw_delta(unroll: Unroll, device: torch.device) -> tuple[Tensor, ...]:
    """Return q, k, v, beta, first and weights."""
    steps, batch, heads, size = unroll
    q, k, v = torch.randn(3, steps, batch, heads, size, device=device)
    beta = torch.rand(steps, batch, heads, device=device)
    first = torch.zeros(steps, batch, dtype=torch.bool, device=device)
    weights = torch.zeros(batch, heads, size, size, device=device)
    sequences = (q.softmax(-1), k.softmax(-1), v, beta)
    return *(sequence.requires_grad_() for sequence in sequences), first, weights


OPS = {"srwm": Op(srwm, draw_srwm), "delta": Op(delta, draw_delta)}


def passes(run: Callable[[], Tensor], inputs: Sequence[Tensor]) -> dict[str, Work]:
    """Return the passes of `run` as pieces of work.

    `forward` is without gradients, `kept` keeps what a backward pass needs, and `both` goes back to
    `inputs` from a random cotangent.
    """
    with torch.no_grad():
        cotangent = torch.randn_like(run())

    def forward() -> None:
        with torch.no_grad():
            run()

    def both() -> None:
        torch.autograd.grad(run(), inputs, cotangent)

    return {"forward": forward, "kept": run, "both": both}
