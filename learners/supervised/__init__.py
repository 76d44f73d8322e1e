"""Few-shot learning: from labelled sequences to weights.

Names are imported when they are first used: a configuration is read without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.lazy import lazy_names

if TYPE_CHECKING:
    from learners.supervised.batch import Episodes, SupervisedBatch, make_batch
    from learners.supervised.config import SupervisedConfig
    from learners.supervised.evaluation import Evaluation, evaluate
    from learners.supervised.learner import SupervisedLearner

__all__ = [
    "Episodes",
    "Evaluation",
    "SupervisedBatch",
    "SupervisedConfig",
    "SupervisedLearner",
    "evaluate",
    "make_batch",
]

__getattr__ = lazy_names(
    __name__,
    {
        "batch": ["Episodes", "SupervisedBatch", "make_batch"],
        "config": ["SupervisedConfig"],
        "evaluation": ["Evaluation", "evaluate"],
        "learner": ["SupervisedLearner"],
    },
)
