"""The parts as Ray actors: each in a process of its own, on any node."""

from __future__ import annotations

import asyncio
import time
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import ray
import torch

from launch.config.schema import RunConfig
from launch.flow.base import KeptState, LearnerReport, RolloutInfo
from launch.flow.build import build_learner, build_worker
from launch.flow.resources import learner_threads, learning_device, worker_threads
from launch.flow.worker import RolloutWorker
from learners import Batch, Learner, Rollout, Weights, join_group, open_store

R = TypeVar("R")


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


class LearnerActor:
    """A learner in its own process; several of them share every batch.

    While one thread learns from a batch, another stages the next one. What else is asked of the
    learner waits for its turn in the first.
    """

    learner: Learner

    def __init__(self, config: dict[str, Any], rank: int) -> None:
        self.run = RunConfig.model_validate(config)
        self.rank = rank
        torch.set_num_threads(learner_threads(self.run))
        self.store: Any = None
        self._staging = ThreadPoolExecutor(1, "staging")
        self._learning = ThreadPoolExecutor(1, "learning")
        self._updates = 0  # that have been begun
        self._turns = asyncio.Condition()

    def meeting_place(self) -> tuple[str, int]:
        """Return the host and the port at which the other learners find this one."""
        host = ray.util.get_node_ip_address()
        self.store = open_store(host)
        return host, self.store.port

    async def start(self, place: tuple[str, int] | None, saved: dict[str, Any] | None) -> None:
        """Meet the others, if there are any, and begin, from what an earlier learner saved."""
        await self._learn(self._start, place, saved)

    @ray.method(num_returns=3)
    async def update(
        self,
        number: int,
        cuts: list[tuple[int, int]],
        publish: bool,
        keep: bool,
        *rollouts: Rollout,
    ) -> tuple[LearnerReport, Weights | None, KeptState | None]:
        """Learn from the environments [start, stop) of each rollout.

        Args:
            number: number of the update, from 0: Ray may deliver updates in another order.
            cuts: start and stop of each rollout.
            publish: whether to return the new weights.
            keep: whether to return the new state.
            rollouts: rollouts that together make a batch, or this learner's share of one.
        """
        pieces = [r.columns(*cut) for r, cut in zip(rollouts, cuts, strict=True)]
        loop = asyncio.get_running_loop()
        batch = await loop.run_in_executor(self._staging, self.learner.stage, pieces)
        async with self._turns:
            await self._turns.wait_for(lambda: number == self._updates)
            update = self._learn(self._update, batch, publish, keep)
            self._updates += 1
            self._turns.notify_all()
        return await update

    async def skip(self, number: int) -> None:
        """Go on after update `number`, which was not begun because its rollouts are lost."""
        async with self._turns:
            await self._turns.wait_for(lambda: number == self._updates)
            self._updates += 1
            self._turns.notify_all()

    async def weights(self) -> Weights:
        """Return the current parameters."""
        return await self._learn(lambda: self.learner.weights())

    async def state(self) -> dict[str, Any]:
        """Return the learner's state for a checkpoint."""
        return await self._learn(lambda: self.learner.state())

    def _learn(self, function: Callable[..., R], *args: Any) -> Future[R]:
        """Call a function in the one thread that learns, after what it has been asked before."""
        return asyncio.get_running_loop().run_in_executor(self._learning, function, *args)

    def _start(self, place: tuple[str, int] | None, saved: dict[str, Any] | None) -> None:
        group = None
        if place:
            device, size = learning_device(self.run), self.run.learner.devices
            group = join_group(device, self.rank, size, *place, self.store)
        self.learner = build_learner(self.run, group)
        if saved:
            self.learner.load(saved)

    def _update(
        self, batch: Batch, publish: bool, keep: bool
    ) -> tuple[LearnerReport, Weights | None, KeptState | None]:
        learner = self.learner
        metrics = learner.step(batch)
        report = LearnerReport(learner.frames, learner.version, metrics)
        weights = learner.weights() if publish else None
        started = time.perf_counter()
        state = learner.state() if keep else None
        kept = KeptState(state, time.perf_counter() - started) if state else None
        return report, weights, kept
