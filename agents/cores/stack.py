"""The frame that the paper's cores share: memory and feed-forward sub-layers in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from agents.config import StackConfig
from agents.cores.base import Core, RowBlock, State
from agents.cores.fast_weights import FastWeights


class Memory(nn.Module, ABC):
    """A memory sub-layer: heads side by side, an output projection without bias.

    What its output is added to is the stack's matter.
    """

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_size = hidden_size // heads
        self.project = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, h: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        """Map h [T, B, hidden] to the same shape, and the carried state to the next."""
        y, state = self.remember(h, first, state)
        return self.project(y.flatten(-2)), state

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """Return zeros, each [batch, ...], float32, on the layer's device."""

    @abstractmethod
    def remember(self, h: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        """Return what the heads say to h [T, B, hidden], [T, B, H, D], and the next state."""

    def introspect(self, h: Tensor, first: Tensor, state: State) -> list[FastWeights]:
        """Return what the fast weights do in `forward`; an empty list if there are none."""
        return []

    def row_blocks(self) -> dict[str, RowBlock]:
        """Name the rows that the fast weights start from or are made by; nothing if there are none.

        The names are those that the paper gives to what the rows compute: `y`, `q`, `k`, ...
        """
        return {}

    def split(self, h: Tensor) -> Tensor:
        """Deal [..., hidden] out to the heads, [..., H, D]."""
        return h.unflatten(-1, (self.heads, self.head_size))


class FeedForwardBlock(nn.Module):
    """The transformer's feed-forward sub-layer, normalised before, with a residual."""

    def __init__(self, hidden_size: int, factor: int, dropout: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.LayerNorm(hidden_size),
            nn.Linear(hidden_size, factor * hidden_size),
            # Together, so that the linear layers keep the names that checkpoints have for them.
            nn.Sequential(nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(factor * hidden_size, hidden_size),
            nn.Dropout(dropout),
        )

    def forward(self, h: Tensor) -> Tensor:
        """Map h [..., hidden] to the same shape."""
        return h + self.block(h)


class Stack(Core):
    """The network of Irie et al. 2022 (RL): an input projection, then pairs of sub-layers.

    The state is that of the first layer's memory, then the second's, and so on.

    Args:
        input_size: F.
        config: sizes and options; the output has the hidden size.
        memory: from hidden size and heads to a memory.
    """

    def __init__(
        self, input_size: int, config: StackConfig, memory: Callable[[int, int], Memory]
    ) -> None:
        super().__init__()
        size, layers, dropout = config.hidden_size, range(config.layers), config.dropout
        self.output_size = size
        self.inputs = nn.Linear(input_size, size)
        self.memories = nn.ModuleList(memory(size, config.heads) for _ in layers)
        self.residuals = nn.ModuleList(
            nn.LayerNorm(size) if config.residual == "layernorm" else nn.Identity() for _ in layers
        )
        self.dropout = nn.Dropout(dropout)
        self.feedforwards = nn.ModuleList(
            FeedForwardBlock(size, config.feedforward_factor, dropout) for _ in layers
        )

    def initial_state(self, batch: int) -> State:
        memories = cast("list[Memory]", list(self.memories))
        return tuple(zeros for memory in memories for zeros in memory.initial_state(batch))

    def forward(self, x: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        h = self.inputs(x)
        after: State = ()
        for layer, carried in enumerate(self._split(state)):
            h, kept = self._layer(layer, h, first, carried)
            after += kept
        return h, after

    @torch.no_grad()
    def introspect(self, x: Tensor, first: Tensor, state: State) -> list[FastWeights]:
        h = self.inputs(x)
        layers: list[FastWeights] = []
        for layer, carried in enumerate(self._split(state)):
            layers += cast("Memory", self.memories[layer]).introspect(h, first, carried)
            h, _ = self._layer(layer, h, first, carried)
        return layers

    def row_blocks(self) -> list[dict[str, RowBlock]]:
        layers = (memory.row_blocks() for memory in cast("list[Memory]", list(self.memories)))
        return [blocks for blocks in layers if blocks]

    def _layer(self, layer: int, h: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        """Run a pair of sub-layers on h [T, B, hidden] with its part of the state."""
        y, state = self.memories[layer](h, first, state)
        h = self.residuals[layer](h) + self.dropout(y)
        return self.feedforwards[layer](h), state

    def _split(self, state: State) -> Iterator[State]:
        """Yield each layer's part of the state."""
        size = len(state) // len(self.memories)
        for layer in range(len(self.memories)):
            yield state[layer * size : (layer + 1) * size]
