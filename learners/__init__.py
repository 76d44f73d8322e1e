"""Learners: from batches to new weights. They know nothing of Ray or environments.

Names are imported when they are first used: a configuration is read without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.lazy import lazy_names

if TYPE_CHECKING:
    from learners.group import join_group, open_store
    from learners.impala.batch import Batch, Stage, pinned
    from learners.impala.config import LearnerConfig
    from learners.impala.learner import Learner, Weights
    from learners.impala.rollout import Rollout
    from learners.introspection import MemoryReport
    from learners.network_state import TrainingDivergedError, load_agent
    from learners.nonfinite import Finding, Inspection, NonfiniteUpdate
    from learners.schedule import Schedule

__all__ = [
    "Batch",
    "Finding",
    "Inspection",
    "Learner",
    "LearnerConfig",
    "MemoryReport",
    "NonfiniteUpdate",
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

__getattr__ = lazy_names(
    __name__,
    {
        "group": ["join_group", "open_store"],
        "impala.batch": ["Batch", "Stage", "pinned"],
        "impala.config": ["LearnerConfig"],
        "impala.learner": ["Learner", "Weights"],
        "impala.rollout": ["Rollout"],
        "introspection": ["MemoryReport"],
        "network_state": ["TrainingDivergedError", "load_agent"],
        "nonfinite": ["Finding", "Inspection", "NonfiniteUpdate"],
        "schedule": ["Schedule"],
    },
)
