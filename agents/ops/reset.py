"""How every recurrent core forgets at an episode's first step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def reset(state: Tensor, first: Tensor) -> Tensor:
    """Return `state` with zeros where an episode opens.

    Zero is every core's initial state, because a state holds what was carried and never what was
    learnt. A select and not a product with a mask: a non-finite value must not outlive its episode.

    Args:
        state: [B, ...], any floating dtype.
        first: [B], bool; True where this step opens an episode.
    """
    shape = (first.shape[0],) + (1,) * (state.dim() - 1)
    return torch.where(first.view(shape), torch.zeros((), dtype=state.dtype).to(state), state)


def segments(first: Tensor) -> Iterator[tuple[int, int]]:
    """Yield the ranges [start, stop) of an unroll in which no episode opens after `start`.

    A core that can only run without resets is run once per range, with `reset` before each.

    Args:
        first: [T, B], bool.
    """
    opens = first.any(dim=1).tolist()
    starts = [t for t in range(len(opens)) if t == 0 or opens[t]]
    yield from zip(starts, [*starts[1:], len(opens)], strict=True)


def check_flags(op: str, first: Tensor, x: Tensor) -> None:
    """Raise ValueError unless `first` is bool and where `x` is.

    A kernel would read other flags as something else, and those elsewhere not at all.
    """
    if first.dtype != torch.bool or first.device != x.device:
        raise ValueError(
            f"{op}: first is {first.dtype} on {first.device}, not torch.bool on {x.device}"
        )
