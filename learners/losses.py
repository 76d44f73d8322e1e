"""The three losses of IMPALA, each summed over time and batch."""

from __future__ import annotations

from torch import Tensor


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
