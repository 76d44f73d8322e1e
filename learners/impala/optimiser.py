"""Build the optimiser that the configuration names."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from learners.impala.config import LearnerConfig


def make_optimiser(
    parameters: Iterable[nn.Parameter], config: LearnerConfig
) -> torch.optim.Optimizer:
    """Build what `learner.optimiser` names; the learner sets its rate at each step."""
    if config.optimiser == "adam":
        return torch.optim.Adam(
            parameters,
            lr=config.learning_rate,
            betas=(config.adam_beta1, config.adam_beta2),
            eps=config.adam_eps,
        )
    return torch.optim.RMSprop(
        parameters,
        lr=config.learning_rate,
        alpha=config.rmsprop_alpha,
        eps=config.rmsprop_eps,
        momentum=config.rmsprop_momentum,
    )
