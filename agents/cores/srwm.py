"""The self-referential weight matrix as a recurrent core."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agents.cores.base import Core, State
from agents.ops.srwm import srwm
from agents.ops.srwm.reference import LEARNING_RATES


class SRWMLayer(nn.Module):
    """The self-modifying sub-layer: heads of `srwm` side by side, output projection, residual."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.head_size = hidden_size // heads
        rows = 3 * self.head_size + LEARNING_RATES
        # The paper's initialisation; in RL the learning rates' rows have mean 0 like the others.
        self.base = nn.Parameter(torch.randn(heads, rows, self.head_size) * self.head_size**-0.5)
        self.project = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, h: Tensor, first: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Map h [T, B, hidden] and the carried shift [B, H, R, D] to the same shapes."""
        x = h.unflatten(-1, (-1, self.head_size)).softmax(-1)
        y, shift = srwm(self.base, x, first, shift)
        return h + self.project(y.flatten(-2)), shift


class FeedForwardBlock(nn.Module):
    """The transformer's feed-forward sub-layer, normalised before, with a residual."""

    def __init__(self, hidden_size: int, factor: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.LayerNorm(hidden_size),
            nn.Linear(hidden_size, factor * hidden_size),
            nn.ReLU(),
            nn.Linear(factor * hidden_size, hidden_size),
        )

    def forward(self, h: Tensor) -> Tensor:
        """Map h [..., hidden] to the same shape."""
        return h + self.block(h)


class SRWM(Core):
    """The paper's RL stack: an input projection, then pairs of SRWM and feed-forward sub-layers.

    The state is the shift of each layer's matrix from its learnt base, so that a learner's update
    of the base composes with a state that a worker has carried over.
    """

    def __init__(
        self, input_size: int, hidden_size: int, layers: int, heads: int, feedforward_factor: int
    ) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.inputs = nn.Linear(input_size, hidden_size)
        self.memories = nn.ModuleList(SRWMLayer(hidden_size, heads) for _ in range(layers))
        self.feedforwards = nn.ModuleList(
            FeedForwardBlock(hidden_size, feedforward_factor) for _ in range(layers)
        )

    def initial_state(self, batch: int) -> State:
        bases = [layer.get_parameter("base") for layer in self.memories]
        return tuple(base.new_zeros(batch, *base.shape) for base in bases)

    def forward(self, x: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        h = self.inputs(x)
        shifts = []
        for memory, feedforward, shift in zip(self.memories, self.feedforwards, state, strict=True):
            h, shift = memory(h, first, shift)
            h = feedforward(h)
            shifts.append(shift)
        return h, tuple(shifts)
