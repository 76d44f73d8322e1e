"""What the driver needs to know of a run, of whatever kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from agents import Agent, Classifier
from launch.config.fewshot import FewShotConfig
from launch.config.schema import RunConfig
from launch.flow.base import Flow, FlowState
from launch.flow.episodes import Data
from launch.placement import make_fewshot_flow, make_flow
from launch.run.fewshot import fewshot_view
from launch.run.memory_charts import classifier_memory_names, memory_names
from launch.run.memory_watch import MemoryWatch
from launch.run.metrics import Metrics
from launch.run.policy import PolicyMetrics, policy_view
from launch.run.view import View

C = TypeVar("C", RunConfig, FewShotConfig, covariant=True)


@dataclass(frozen=True)
class Job(Generic[C]):
    """A run that can be started."""

    config: C
    metrics: Metrics
    view: View
    watch: MemoryWatch
    start: Callable[[FlowState | None], Flow]
    """Starts the flow, from what an earlier one saved if given."""


def policy_job(config: RunConfig, agent: Agent) -> Job[RunConfig]:
    """Return the job of training a policy.

    Args:
        config: of the run.
        agent: its network, for the names of what the memory does.
    """
    return Job(
        config,
        PolicyMetrics(config.envs, config.launch.workers, config.learner.unroll_length),
        policy_view(
            config.envs,
            config.held_out.every_frames is not None,
            memory_names(agent, config.envs),
        ),
        MemoryWatch(config.agent),
        partial(make_flow, config),
    )


def fewshot_job(config: FewShotConfig, classifier: Classifier, data: Data) -> Job[FewShotConfig]:
    """Return the job of training a classifier.

    Args:
        config: of the run.
        classifier: its network, for the names of what the memory does.
        data: what it learns from.
    """
    return Job(
        config,
        Metrics(),
        fewshot_view(config.episodes, classifier_memory_names(classifier, data.shape)),
        MemoryWatch(config.classifier, "classifier"),
        partial(make_fewshot_flow, config, data),
    )


AnyJob = Job[RunConfig] | Job[FewShotConfig]
"""A job of either kind."""
