"""Learning rate of few-shot learning: constant, or warm-up and decay."""

from __future__ import annotations

from learners.supervised.config import SupervisedConfig


def learning_rate(config: SupervisedConfig, hidden_size: int, update: int) -> float:
    """Return the learning rate of an update.

    `warmup` is the transformer's schedule (Vaswani et al. 2017, equation 3), as the paper's code
    has it: it does not depend on `learning_rate`.

    Args:
        config: the section `learner`.
        hidden_size: of the core.
        update: 1 for the first.
    """
    if config.schedule == "constant":
        return config.learning_rate
    return float(hidden_size**-0.5 * min(update**-0.5, update * config.warmup_steps**-1.5))
