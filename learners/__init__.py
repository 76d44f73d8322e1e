"""From rollouts to weights. Knows nothing of Ray or environments."""

from learners.batch import Batch, Stage, pinned
from learners.config import LearnerConfig
from learners.group import join_group, open_store
from learners.learner import Learner, TrainingDivergedError, Weights, load_agent
from learners.memory import MemoryReport
from learners.rollout import Rollout
from learners.schedule import Schedule

__all__ = [
    "Batch",
    "Learner",
    "LearnerConfig",
    "MemoryReport",
    "Rollout",
    "Schedule",
    "Stage",
    "TrainingDivergedError",
    "Weights",
    "join_group",
    "load_agent",
    "open_store",
    "pinned",
]
