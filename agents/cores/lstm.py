"""The LSTM baseline."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.cores.base import Core, State
from agents.ops.reset import reset, segments


class LSTM(Core):
    """One LSTM layer (the paper's baseline has 256 units)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.lstm = nn.LSTM(input_size, hidden_size)

    def initial_state(self, batch: int) -> State:
        weight = self.lstm.get_parameter("weight_hh_l0")
        return weight.new_zeros(batch, self.output_size), weight.new_zeros(batch, self.output_size)

    def forward(self, x: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        # torch's LSTM cannot reset inside an unroll, so it runs from one reset to the next.
        outputs = []
        hidden, cell = state
        for start, stop in segments(first):
            hidden, cell = reset(hidden, first[start]), reset(cell, first[start])
            y, (hidden, cell) = self._run(x[start:stop], hidden, cell)
            outputs.append(y)
        return torch.cat(outputs), (hidden, cell)

    def _run(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, State]:
        y, (hidden, cell) = self.lstm(x, (hidden.unsqueeze(0), cell.unsqueeze(0)))
        return y, (hidden.squeeze(0), cell.squeeze(0))
