"""From rollouts to weights. Knows nothing of Ray or environments."""

from learners.config import LearnerConfig
from learners.group import join_group, open_store
from learners.learner import Learner, TrainingDivergedError, Weights, load_agent
from learners.memory import memory_metrics
from learners.rollout import Rollout, join

__all__ = [
    "Learner",
    "LearnerConfig",
    "Rollout",
    "TrainingDivergedError",
    "Weights",
    "join",
    "join_group",
    "load_agent",
    "memory_metrics",
    "open_store",
]
