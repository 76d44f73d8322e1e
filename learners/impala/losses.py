"""The three losses of IMPALA, each summed over time and batch."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

# The smallest standard deviation that advantages are divided by.
SMALLEST_DEVIATION = 1e-5


def policy_gradient_loss(log_probs: Tensor, actions: Tensor, advantages: Tensor) -> Tensor:
    """Return -sum advantage * log pi(a); the advantages get no gradient.

    Args:
        log_probs: [T, B, A], normalised.
        actions: [T, B], int64.
        advantages: [T, B].
    """
    chosen = log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    return -(advantages.detach() * chosen).sum()


def value_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Return 1/2 sum (target - V)^2 for values and targets [T, B]; targets get no gradient."""
    return 0.5 * (targets.detach() - values).square().sum()


def entropy(log_probs: Tensor) -> Tensor:
    """Return the policy's entropy in nats, summed over the steps of log_probs [T, B, A]."""
    return -(log_probs.exp() * log_probs).sum()


@torch.no_grad()
def standardise(x: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """Return x less its mean, divided by its standard deviation, both over the whole batch.

    Args:
        x: this learner's share of the batch, any shape.
        group: the learners that share it equally; None if there is one.
    """
    moments = torch.stack([x.double().mean(), x.double().square().mean()])
    if group:
        dist.all_reduce(moments, group=group)
        moments /= group.size()
    mean, square = moments
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return ((x - mean) / (deviation + SMALLEST_DEVIATION)).to(x.dtype)
