"""The SRWM without its self-modification: what is left is a linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.cores.base import State
from agents.cores.head_input import HeadInputName, head_input
from agents.cores.stack import Memory


class FakeSRWM(Memory):
    """The paper's "Fake SR": heads of `y = W phi(x)` with a matrix that stays as it is learnt.

    The same as the first step of an episode in the SRWM, for ever. The paper's code leaves out
    `phi` as well; here the self-modification is the only difference.
    """

    def __init__(self, hidden_size: int, heads: int, input: HeadInputName) -> None:
        super().__init__(hidden_size, heads)
        self.inputs = head_input(input, hidden_size, heads)
        size = self.head_size
        self.base = nn.Parameter(torch.randn(heads, size, size) * size**-0.5)

    def initial_state(self, batch: int) -> State:
        return ()

    def remember(self, h: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        return torch.einsum("hed,tbhd->tbhe", self.base, self.inputs(h)), state
