"""Few-shot learning: from labelled sequences to weights."""

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
