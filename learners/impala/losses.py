"""The three losses of IMPALA, each summed over time and batch."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

from agents.shapes import check

# The smallest standard deviation that advantages are divided by.
SMALLEST_DEVIATION = 1e-5


def policy_gradient_loss(log_probs: Tensor, actions: Tensor, advantages: Tensor) -> Tensor:
    """Return -sum advantage * log pi(a); the advantages get no gradient.

    Args:
        log_probs: [T, B, A], float, normalised.
        actions: [T, B], int64.
        advantages: [T, B], float.

    Raises:
        ValueError: if the shapes or dtypes are others.
    """
    check(
        "policy_gradient_loss",
        log_probs=(log_probs, "float [T, B, A]"),
        actions=(actions, "int64 [T, B]"),
        advantages=(advantages, "float [T, B]"),
    )
    chosen = log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    return -(advantages.detach() * chosen).sum()


def value_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Return 1/2 sum (target - V)^2; the targets get no gradient.

    Args:
        values: [T, B], float.
        targets: [T, B], float.

    Raises:
        ValueError: if the shapes or dtypes are others.
    """
    check("value_loss", values=(values, "float [T, B]"), targets=(targets, "float [T, B]"))
    return 0.5 * (targets.detach() - values).square().sum()


def entropy(log_probs: Tensor) -> Tensor:
    """Return the policy's entropy in nats, summed over time and batch.

    Args:
        log_probs: [T, B, A], float, normalised.

    Raises:
        ValueError: if the shape or dtype is another.
    """
    check("entropy", log_probs=(log_probs, "float [T, B, A]"))
    return -(log_probs.exp() * log_probs).sum()


@torch.no_grad()
def standardise(x: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """Return x less its mean, divided by its standard deviation, both over the whole batch.

    Args:
        x: [T, B], float, this learner's share of the batch.
        group: the learners that share it equally; None if there is one.

    Raises:
        ValueError: if the shape or dtype is another.
    """
    check("standardise", x=(x, "float [T, B]"))
    moments = torch.stack([x.double().mean(), x.double().square().mean()])
    if group:
        dist.all_reduce(moments, group=group)
        moments /= group.size()
    mean, square = moments
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return ((x - mean) / (deviation + SMALLEST_DEVIATION)).to(x.dtype)
