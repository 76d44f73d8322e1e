"""A learner as a Ray actor: one of a group that shares every batch, or the only one."""

from __future__ import annotations

import asyncio
import time
from asyncio import Future
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import ray
import torch
from torch.distributed import ProcessGroup

from launch.config.source import AnyConfig
from launch.flow.base import KeptState, LearnerReport
from launch.flow.heap import keep_freed_memory
from launch.flow.resources import learner_threads, learning_device
from learners import Learner, NonfiniteUpdate, Weights, join_group, open_store
from learners.supervised import SupervisedLearner

R = TypeVar("R")


class GroupActor:
    """What the learners of every kind of run have in common.

    While one thread learns from a batch, another stages the next one. What else is asked of the
    learner waits for its turn in the first.

    Args:
        run: its configuration.
        rank: of this learner in its group.
    """

    learner: Learner | SupervisedLearner

    def __init__(self, run: AnyConfig, rank: int) -> None:
        self.rank = rank
        self.devices = run.learner.devices
        self.device = learning_device(run)
        torch.set_num_threads(learner_threads(run))
        keep_freed_memory()
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
        *inputs: Any,
    ) -> tuple[LearnerReport, Weights | None, KeptState | None]:
        """Learn from the columns [start, stop) of each input.

        Args:
            number: number of the update, from 0: Ray may deliver updates in another order.
            cuts: start and stop of each input.
            publish: whether to return the new weights.
            keep: whether to return the new state.
            inputs: what together makes a batch, or this learner's share of one.
        """
        loop = asyncio.get_running_loop()
        batch = await loop.run_in_executor(self._staging, self._stage, inputs, cuts)
        async with self._turns:
            await self._turns.wait_for(lambda: number == self._updates)
            update = self._learn(self._update, batch, publish, keep)
            self._updates += 1
            self._turns.notify_all()
        return await update

    async def skip(self, number: int) -> None:
        """Go on after update `number`, which was not begun because its inputs are lost."""
        async with self._turns:
            await self._turns.wait_for(lambda: number == self._updates)
            self._updates += 1
            self._turns.notify_all()

    async def nonfinite(self) -> NonfiniteUpdate | None:
        """Return what the learner had in the update for which training is given up."""
        return await self._learn(lambda: self.learner.nonfinite())

    async def state(self) -> dict[str, Any]:
        """Return the learner's state for a checkpoint."""
        return await self._learn(lambda: self.learner.state())

    def _build(self, group: ProcessGroup | None) -> None:
        """Make the learner."""
        raise NotImplementedError

    def _stage(self, inputs: Sequence[Any], cuts: list[tuple[int, int]]) -> Any:
        """Make a batch on the learner's device."""
        raise NotImplementedError

    def _step(self, batch: Any) -> dict[str, float]:
        """Learn from a batch and return its metrics."""
        return self.learner.step(batch)

    def _weights(self) -> Weights | None:
        """Return what workers act with; None in a run without workers."""
        return None

    def _learn(self, function: Callable[..., R], *args: Any) -> Future[R]:
        """Call a function in the one thread that learns, after what it has been asked before."""
        return asyncio.get_running_loop().run_in_executor(self._learning, function, *args)

    def _start(self, place: tuple[str, int] | None, saved: dict[str, Any] | None) -> None:
        group = None
        if place:
            group = join_group(self.device, self.rank, self.devices, *place, self.store)
        self._build(group)
        if saved:
            self.learner.load(saved)

    def _update(
        self, batch: Any, publish: bool, keep: bool
    ) -> tuple[LearnerReport, Weights | None, KeptState | None]:
        metrics = self._step(batch)
        report = LearnerReport(self.learner.frames, self.learner.version, metrics)
        weights = self._weights() if publish else None
        started = time.perf_counter()
        state = self.learner.state() if keep else None
        kept = KeptState(state, time.perf_counter() - started) if state else None
        return report, weights, kept
