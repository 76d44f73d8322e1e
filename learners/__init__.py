"""From rollouts to weights. Knows nothing of Ray or environments."""

from learners.group import join_group, open_store
from learners.impala.batch import Batch, Stage, pinned
from learners.impala.config import LearnerConfig
from learners.impala.learner import Learner, Weights
from learners.impala.rollout import Rollout
from learners.introspection import MemoryReport
from learners.network_state import TrainingDivergedError, load_agent
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
