"""The parts as Ray actors: each in a process of its own, on any node."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import ray
import torch
from torch.distributed import ProcessGroup

from envs.fewshot.episodes import EpisodeBatch
from launch.cluster.group_actor import GroupActor
from launch.config.fewshot import FewShotConfig
from launch.config.schema import RunConfig
from launch.flow.base import RolloutInfo
from launch.flow.build import build_learner, build_worker
from launch.flow.episodes import build_supervised_learner
from launch.flow.resources import worker_threads
from launch.flow.worker import RolloutWorker
from learners import Batch, Learner, Rollout, Weights
from learners.supervised import Evaluation, SupervisedBatch, SupervisedLearner, make_batch


class WorkerActor:
    """A rollout worker in its own process."""

    def __init__(self, config: dict[str, Any], index: int, restart: int) -> None:
        run = RunConfig.model_validate(config)
        torch.set_num_threads(worker_threads(run))
        # Not here: whoever waits for environments must know that there is a place for the worker.
        self._build = partial(build_worker, run, index, restart)
        self._worker: RolloutWorker | None = None

    def node(self) -> str:
        """Return the address of the node on which this runs."""
        address: str = ray.util.get_node_ip_address()
        return address

    @ray.method(num_returns=2)
    def rollout(self, weights: Weights) -> tuple[Rollout, RolloutInfo]:
        """Act with `weights`; the first time, make the environments before."""
        self._worker = self._worker or self._build()
        return self._worker.rollout(weights)


class LearnerActor(GroupActor):
    """A learner of policies in its own process."""

    learner: Learner

    def __init__(self, config: dict[str, Any], rank: int) -> None:
        self.run = RunConfig.model_validate(config)
        super().__init__(self.run, rank)

    async def weights(self) -> Weights:
        """Return the current parameters."""
        return await self._learn(self._weights)

    def _build(self, group: ProcessGroup | None) -> None:
        self.learner = build_learner(self.run, group)

    def _stage(self, inputs: Sequence[Rollout], cuts: list[tuple[int, int]]) -> Batch:
        return self.learner.stage([r.columns(*cut) for r, cut in zip(inputs, cuts, strict=True)])

    def _weights(self) -> Weights:
        return self.learner.weights()


class SupervisedActor(GroupActor):
    """A learner of few-shot runs in its own process; what it learns from, the driver draws.

    Args:
        config: of the run.
        rank: of this learner in its group.
        shape: (H, W, C) of the images.
    """

    learner: SupervisedLearner

    def __init__(self, config: dict[str, Any], rank: int, shape: tuple[int, int, int]) -> None:
        self.run = FewShotConfig.model_validate(config)
        self.shape = shape
        super().__init__(self.run, rank)

    async def evaluate(self, episodes: EpisodeBatch) -> Evaluation:
        """Evaluate the network on these episodes."""
        return await self._learn(lambda: self.learner.evaluate([make_batch(episodes, self.device)]))

    def _build(self, group: ProcessGroup | None) -> None:
        self.learner = build_supervised_learner(self.run, self.shape, group)

    def _stage(
        self, inputs: Sequence[EpisodeBatch], cuts: list[tuple[int, int]]
    ) -> SupervisedBatch:
        """Make a batch of the one input that holds this learner's share."""
        ((share, cut),) = zip(inputs, cuts, strict=True)
        return make_batch(share, self.device).columns(*cut)
