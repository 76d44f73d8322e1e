"""The ablation in which a memory is not carried over from one unroll to the next."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.cores.base import Core, RowBlock, State
from agents.cores.fast_weights import FastWeights


class NoCarry(Core):
    """A core whose memory starts anew every `window` steps, as if an episode opened there.

    The window is the learner's unroll, so that acting, learning and playing afterwards forget at
    the same steps and say the same. The state has the steps since the window began as one more
    tensor, [B], in 0..window-1. An episode's start empties the memory, but leaves that count.

    The paper's code of this ablation calls its core with one step at a time and no state at all:
    what it measures is a core without any memory (here `fake_srwm`).
    """

    def __init__(self, core: Core, window: int) -> None:
        super().__init__()
        self.core = core
        self.window = window
        self.output_size = core.output_size

    def initial_state(self, batch: int) -> State:
        weight = next(self.core.parameters())
        return *self.core.initial_state(batch), weight.new_zeros(batch)

    def forward(self, x: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        *carried, age = state
        y, kept = self.core(x, first | self._opens(len(x), age), tuple(carried))
        return y, (*kept, (age + len(x)) % self.window)

    def introspect(self, x: Tensor, first: Tensor, state: State) -> list[FastWeights]:
        *carried, age = state
        return self.core.introspect(x, first | self._opens(len(x), age), tuple(carried))

    def row_blocks(self) -> list[dict[str, RowBlock]]:
        return self.core.row_blocks()

    def _opens(self, steps: int, age: Tensor) -> Tensor:
        """Return where a window begins, [steps, B]."""
        ages = age + torch.arange(steps, device=age.device).unsqueeze(-1)
        return ages % self.window == 0
