"""The SRWM in plain PyTorch: the definition that every faster version has to match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from agents.ops.reset import check_flags, reset

LEARNING_RATES = 4  # one for each row block: y, q, k and the learning rates' own rows


class Step(NamedTuple):
    """What a self-referential weight matrix computes at one step."""

    y: Tensor  # [B, H, E], the output
    query: Tensor  # [B, H, D], phi(q)
    key: Tensor  # [B, H, D], phi(k)
    rates: Tensor  # [B, H, 4], sigmoid(b): of the rows of y, q, k and b
    update: Tensor  # [B, H, R]; its outer product with the key is added to the matrix
    shift: Tensor  # [B, H, R, D], after that


def srwm(base: Tensor, x: Tensor, first: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Run a self-referential weight matrix over an unroll (Irie et al. 2022, equations 5 to 8).

    With `W = base + shift` and `phi` the softmax over the head dimension, each step computes

        y, q, k, b = W x                                  four row blocks: E, D, D and 4 rows
        W <- W + sigmoid(b) * (W phi(q) - W phi(k)) (outer) phi(k)

    where each row block has its own entry of `sigmoid(b)`. `y` is read before the update, and a
    step that opens an episode is read with a zero shift. Autograd goes through all of it.

    T steps, B environments, H heads, D inputs and E outputs a head, R = E + 2 D + 4 rows.

    Args:
        base: [H, R, D], the learnt weights.
        x: [T, B, H, D], the inputs as they meet the matrix (the layer applies its own `phi`).
        first: [T, B], bool; True where a step opens an episode.
        shift: [B, H, R, D], what the matrix has added to itself since the episode began.

    Returns:
        y: [T, B, H, E].
        shift: [B, H, R, D], to be carried to the next unroll.

    Raises:
        ValueError: if the shapes do not agree.
    """
    check(base, x, first, shift)
    outputs = []
    for step in steps(base, x, first, shift):
        outputs.append(step.y)
        shift = step.shift
    return torch.stack(outputs).to(x.dtype), shift


def steps(base: Tensor, x: Tensor, first: Tensor, shift: Tensor) -> Iterator[Step]:
    """Yield each step of `srwm` with all that it computes, in the type of `base`."""
    rows, size = base.shape[-2:]
    blocks = [rows - 2 * size - LEARNING_RATES, size, size, LEARNING_RATES]
    rate_of_row = torch.repeat_interleave(
        torch.arange(LEARNING_RATES, device=base.device), torch.tensor(blocks, device=base.device)
    )
    for x_t, first_t in zip(x.to(base.dtype), first, strict=True):
        shift = reset(shift, first_t)
        weights = base + shift
        y, q, k, b = (weights @ x_t.unsqueeze(-1)).squeeze(-1).split(blocks, dim=-1)
        query, key, rates = q.softmax(-1), k.softmax(-1), b.sigmoid()
        # W phi(q) - W phi(k): what the matrix should answer less what it does, in one product.
        error = (weights @ (query - key).unsqueeze(-1)).squeeze(-1)
        update = rates[..., rate_of_row] * error
        shift = shift + update.unsqueeze(-1) * key.unsqueeze(-2)
        yield Step(y, query, key, rates, update, shift)


def check(base: Tensor, x: Tensor, first: Tensor, shift: Tensor) -> None:
    """Raise ValueError unless these could be the arguments of `srwm`."""
    rows, size = base.shape[-2:]
    steps, batch, heads = x.shape[:3]
    if (
        base.dim() != 3
        or steps < 1
        or rows - 2 * size - LEARNING_RATES < 1
        or x.shape != (steps, batch, *base.shape[:1], size)
        or first.shape != (steps, batch)
        or shift.shape != (batch, heads, rows, size)
    ):
        raise ValueError(
            f"srwm: base [H, E+2D+4, D] {tuple(base.shape)}, x [T, B, H, D] {tuple(x.shape)}, "
            f"first [T, B] {tuple(first.shape)} and shift [B, H, E+2D+4, D] {tuple(shift.shape)} "
            "do not agree"
        )
    check_flags("srwm", first, x)
