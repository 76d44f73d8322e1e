"""The parts as Ray actors: each in a process of its own, on any node."""

from __future__ import annotations

from typing import Any

import ray
import torch

from launch.build import (
    build_learner,
    build_worker,
    learner_threads,
    learning_device,
    worker_threads,
)
from launch.config import RunConfig
from launch.flow import RolloutInfo, UpdateReport
from learners import Learner, Rollout, Weights, join, join_group, open_store


class WorkerActor:
    """A rollout worker in its own process."""

    def __init__(self, config: dict[str, Any], index: int, life: int) -> None:
        run = RunConfig.model_validate(config)
        torch.set_num_threads(worker_threads(run))
        self.worker = build_worker(run, index, life)

    @ray.method(num_returns=2)
    def rollout(self, weights: Weights) -> tuple[Rollout, RolloutInfo]:
        """Act with `weights`."""
        return self.worker.rollout(weights)


class LearnerActor:
    """A learner in its own process; several of them share every batch."""

    learner: Learner

    def __init__(self, config: dict[str, Any], rank: int) -> None:
        self.run = RunConfig.model_validate(config)
        self.rank = rank
        torch.set_num_threads(learner_threads(self.run))
        self.store: Any = None

    def meeting_place(self) -> tuple[str, int]:
        """Return the host and the port at which the other learners find this one."""
        host = ray.util.get_node_ip_address()
        self.store = open_store(host)
        return host, self.store.port

    def start(self, place: tuple[str, int] | None, saved: dict[str, Any] | None) -> None:
        """Meet the others, if there are any, and begin, from what an earlier learner saved."""
        group = None
        if place:
            device = learning_device(self.run)
            group = join_group(device, self.rank, self.run.learner.devices, *place, self.store)
        self.learner = build_learner(self.run, group)
        if saved:
            self.learner.load(saved)

    @ray.method(num_returns=2)
    def update(
        self, cuts: list[tuple[int, int]], publish: bool, *rollouts: Rollout
    ) -> tuple[UpdateReport, Weights | None]:
        """Learn from the environments [start, stop) of each rollout.

        The new weights are returned where they are to be published.
        """
        pieces = [r.columns(*cut) for r, cut in zip(rollouts, cuts, strict=True)]
        metrics = self.learner.update(join(pieces))
        learner = self.learner
        report = UpdateReport(learner.frames, learner.version, metrics, [], 0.0)
        return report, learner.weights() if publish else None

    def weights(self) -> Weights:
        """Return the current parameters."""
        return self.learner.weights()

    def state(self) -> dict[str, Any]:
        """Return the learner's state for a checkpoint."""
        return self.learner.state()
