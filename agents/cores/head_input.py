"""What a head of a self-referential weight matrix reads of its layer's input."""

from __future__ import annotations

from torch import Tensor, nn

from agents.config import HeadInputName


class LayerNormInput(nn.Module):
    """The layer's input, normalised over all heads together; each head reads its part."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.normalise = nn.LayerNorm(hidden_size)

    def forward(self, h: Tensor) -> Tensor:
        """Map h [..., hidden] to [..., H, D]."""
        return self.normalise(h).unflatten(-1, (self.heads, -1))


class SoftmaxInput(nn.Module):
    """The softmax of each head's part, as in the paper's RL code. It has no parameters."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, h: Tensor) -> Tensor:
        """Map h [..., hidden] to [..., H, D]; each head's entries are positive and add up to 1."""
        return h.unflatten(-1, (self.heads, -1)).softmax(-1)


class PlainInput(nn.Module):
    """Each head's part as it is. It has no parameters."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, h: Tensor) -> Tensor:
        """Map h [..., hidden] to [..., H, D]."""
        return h.unflatten(-1, (self.heads, -1))


def head_input(name: HeadInputName, hidden_size: int, heads: int) -> nn.Module:
    """Build the module that maps a layer's input [..., hidden] to its heads' [..., H, D]."""
    kinds = {"layernorm": LayerNormInput, "softmax": SoftmaxInput, "none": PlainInput}
    return kinds[name](hidden_size, heads)
