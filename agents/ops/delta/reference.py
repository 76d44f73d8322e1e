"""The delta rule in plain PyTorch: the definition that every faster version has to match."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.ops.reset import check_flags, reset


def delta(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, first: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Run fast weights under the delta rule over an unroll (Schlag et al. 2021, section 4.2).

    Each step writes the value under its key, in place of what was there, and answers its query:

        W <- W + beta (v - W k) (outer) k
        y = W q

    `y` is read after the update, and a step that opens an episode starts from zero weights.
    Autograd goes through all of it.

    T steps, B environments, H heads, keys of size D and values of size E a head.

    Args:
        q: [T, B, H, D], the queries; the layer has applied its `phi` and normalised them.
        k: [T, B, H, D], the keys, likewise.
        v: [T, B, H, E], the values.
        beta: [T, B, H], the learning rates, in 0..1.
        first: [T, B], bool; True where a step opens an episode.
        weights: [B, H, E, D], the fast weights that the unroll before this one left.

    Returns:
        y: [T, B, H, E], in the dtype of `v`; all is computed in the dtype of `weights`.
        weights: [B, H, E, D], to be carried to the next unroll.

    Raises:
        ValueError: if the shapes do not agree.
    """
    check(q, k, v, beta, first, weights)
    sequences = (sequence.to(weights.dtype) for sequence in (q, k, v, beta))
    outputs = []
    for q_t, k_t, v_t, beta_t, first_t in zip(*sequences, first, strict=True):
        weights = reset(weights, first_t)
        error = v_t - (weights @ k_t.unsqueeze(-1)).squeeze(-1)
        step = beta_t.unsqueeze(-1) * error
        weights = weights + step.unsqueeze(-1) * k_t.unsqueeze(-2)
        outputs.append((weights @ q_t.unsqueeze(-1)).squeeze(-1))
    return torch.stack(outputs).to(v.dtype), weights


def check(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, first: Tensor, weights: Tensor) -> None:
    """Raise ValueError unless these could be the arguments of `delta`."""
    if (
        q.dim() != 4
        or len(q) < 1
        or k.shape != q.shape
        or v.shape[:-1] != q.shape[:-1]
        or beta.shape != q.shape[:-1]
        or first.shape != q.shape[:2]
        or weights.shape != (*q.shape[1:3], v.shape[-1], q.shape[-1])
    ):
        raise ValueError(
            f"delta: q [T, B, H, D] {tuple(q.shape)}, k [T, B, H, D] {tuple(k.shape)}, "
            f"v [T, B, H, E] {tuple(v.shape)}, beta [T, B, H] {tuple(beta.shape)}, "
            f"first [T, B] {tuple(first.shape)} and weights [B, H, E, D] {tuple(weights.shape)} "
            "do not agree"
        )
    check_flags("delta", first, q)
