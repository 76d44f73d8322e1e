"""Back-propagation through time, cut short where it is asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.cores.base import Core, State


def unroll(
    core: Core, x: Tensor, first: Tensor, state: State, bptt: int | None
) -> tuple[Tensor, State]:
    """Run a core over an unroll, its state detached after every `bptt` steps.

    The values are those of the whole unroll (`None`); only gradients end where the state is
    detached, so that they reach back through 1 to `bptt` steps.

    It is no way to save time or memory: each piece is a call of the core of its own that keeps the
    state it starts from, all of them until the one backward pass. At the paper's size, `bptt` of 1
    takes the SRWM 4.6 times as long as the whole unroll and 3.6 times its memory, the LSTM 4 and
    1.7 times (one thread of a CPU).

    Args:
        core: whose state is detached.
        x: [T, B, F], its input.
        first: [T, B], bool; True where a step opens an episode.
        state: what the previous unroll returned.
        bptt: steps that a gradient flows back through at most.
    """
    outputs: list[Tensor] = []
    steps = bptt or len(x)
    for piece, opens in zip(x.split(steps), first.split(steps), strict=True):
        if outputs:
            state = tuple(carried.detach() for carried in state)
        y, state = core(piece, opens, state)
        outputs.append(y)
    return torch.cat(outputs), state
