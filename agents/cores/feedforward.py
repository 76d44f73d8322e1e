"""No memory: the features go to the heads as they are."""

from __future__ import annotations

from torch import Tensor

from agents.cores.base import Core, State


class FeedForward(Core):
    """The memoryless baseline of the paper."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = input_size

    def initial_state(self, batch: int) -> State:
        return ()

    def forward(self, x: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        return x, state
