"""Few-shot learning over Ray: the driver draws episodes, one or several learners share them."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError

from envs.fewshot.episodes import fixed_batches
from launch.cluster.actors import SupervisedActor
from launch.cluster.cluster import Connection
from launch.cluster.connect import Demand
from launch.cluster.faults import LostInputError, reason
from launch.cluster.learners import (
    LEAST_SECONDS,
    TICK_SECONDS,
    UPDATES_IN_FLIGHT,
    LearnerFailedError,
    LearnerGroup,
)
from launch.cluster.watchdog import Watchdog
from launch.config.fewshot import FewShotConfig
from launch.errors import RunError
from launch.flow.base import FlowState, LearnerReport, UpdateReport
from launch.flow.batcher import Piece
from launch.flow.episodes import EVALUATION_BATCH, SPLIT_SEEDS, Data, EpisodeStream
from launch.flow.resources import cluster_address, learner_share
from launch.flow.supervised import validation_is_due, validation_trial
from learners import NonfiniteUpdate
from learners.supervised import Evaluation

# Batches of a validation that the learner has been given and has not answered.
EVALUATIONS_IN_FLIGHT = 2


class SupervisedCluster(Connection):
    """The cluster of a few-shot run, which has learners only.

    Args:
        config: of the run.
        shape: (H, W, C) of the images.

    Raises:
        UserError: if no cluster answers, or it has too few GPUs.
    """

    def __init__(self, config: FewShotConfig, shape: tuple[int, int, int]) -> None:
        devices = config.learner.devices
        store = _object_store_bytes(config, shape)
        super().__init__(Demand(cluster_address(config), devices, store, config.imports))
        self._tree = config.model_dump(mode="json")
        self._shape = shape
        self._share = learner_share(self.gpus, config)

    def learner(self, rank: int) -> Any:
        """Start learner `rank`."""
        return self.actor(SupervisedActor, self._share).remote(self._tree, rank, self._shape)


class RaySupervisedFlow:
    """The driver's side: it draws each batch once and gives every learner a share of it.

    The first learner also validates. A learner that dies or hangs ends the run; the newest state is
    kept here, see `newest`.

    Args:
        config: of the run.
        data: what it learns from.
        saved: the state to go on from, if any.
        cluster: starts the learners; by default a connection to the cluster of `config`.
        clock: the time in seconds.

    Raises:
        RunError: if a learner cannot start.
    """

    def __init__(
        self,
        config: FewShotConfig,
        data: Data,
        saved: FlowState | None = None,
        cluster: SupervisedCluster | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.data = data
        self.cluster = cluster or SupervisedCluster(config, data.shape)
        self._watchdog = Watchdog(clock)
        self.learners = LearnerGroup(
            self.cluster.learner,
            config.learner.devices,
            saved.learner if saved else None,
            Counter(),
            max_restarts=0,
            while_waiting=self._look,
            clock=clock,
        )
        try:
            self.learners.wait_for_start()
        except LearnerFailedError as error:
            self.cluster.close()
            raise RunError(f"a learner did not start: {error}") from error
        state = self.learners.newest
        self._asked = self._saved = self.learners.frames
        self._pause = False
        done = state["version"] + state["skipped"]
        self.stream = EpisodeStream(data.train, config.seed, config.learner.batch_size, start=done)

    def update(self) -> UpdateReport:
        """Keep the learners busy until the oldest update is done; validate where it is due.

        Raises:
            RunError: if a learner died, hangs or raised.
        """
        while not self._pause and len(self.learners.updates) < UPDATES_IN_FLIGHT:
            self._ask()
        before = self.learners.frames
        report = self._wait()
        trial = None
        if validation_is_due(self.config, before, report.frames):
            trial = validation_trial(self._validate())
        if not self.learners.updates:
            self._pause = False
        self._watchdog.progress()
        waiting = self.stream.waiting
        return UpdateReport(*report, [], waiting, trial=trial)

    def save(self) -> FlowState:
        """Return the first learner's state, or the newest one that is here if the learner fails."""
        try:
            return FlowState(self.learners.state())
        except LearnerFailedError:  # the next update says so
            return self.newest()

    def newest(self) -> FlowState:
        """Return the newest state that is in this process, without waiting."""
        return FlowState(self.learners.newest)

    def nonfinite(self) -> list[NonfiniteUpdate]:
        """Return what the learners had in the update for which training is given up."""
        return self.learners.nonfinite()

    def close(self) -> None:
        """Stop drawing and the learners, and the cluster if it was started here."""
        self.stream.close()
        self.learners.close()
        self.cluster.close()

    def _ask(self) -> None:
        """Share the next batch out to the learners."""
        batch = self.stream.take()
        share = self.config.learner.batch_size // self.config.learner.devices
        self.learners.ask(
            [
                [Piece(ray.put(batch.columns(start, start + share)), 0, share)]
                for start in range(0, self.config.learner.batch_size, share)
            ],
            publish=False,
        )
        before, self._asked = self._asked, self._asked + batch.target.size
        self._pause = self._pauses(before)

    def _pauses(self, before: int) -> bool:
        """Whether the learners wait after an update until it is reported.

        They do where the network that it leaves is validated or saved, which a resumed run goes on
        from: what is in flight would be in it already.
        """
        saves = self._asked - self._saved >= self.config.checkpoint.every_frames
        if saves:
            self._saved = self._asked
        return saves or validation_is_due(self.config, before, self._asked)

    def _wait(self) -> LearnerReport:
        """Return the report of the oldest update in flight, once it is there."""
        while True:
            done, _ = ray.wait(self.learners.pending, num_returns=1, timeout=TICK_SECONDS)
            try:
                learnt = self.learners.collect(done[0]) if done else None
                if learnt:
                    return learnt.report
                self.learners.check_overdue()
            except (LearnerFailedError, LostInputError) as error:
                raise RunError(f"a learner failed: {error}") from error
            self._look()

    def _validate(self) -> Evaluation:
        """Let the first learner answer the validation episodes, which are drawn meanwhile."""
        first, asked = self.learners.actors[0], deque[ray.ObjectRef]()
        episodes = self.config.validation.episodes
        seed = SPLIT_SEEDS["validation"]
        parts = []
        for batch in fixed_batches(self.data.validation, seed, EVALUATION_BATCH, episodes):
            asked.append(first.evaluate.remote(batch))
            if len(asked) > EVALUATIONS_IN_FLIGHT:
                parts.append(_answer(asked.popleft()))
        return Evaluation.join(parts + [_answer(ref) for ref in asked])

    def _look(self) -> None:
        self._watchdog.look(self.cluster.describe)


def _answer(ref: ray.ObjectRef) -> Evaluation:
    try:
        answer: Evaluation = ray.get(ref, timeout=LEAST_SECONDS)
    except RayError as error:
        raise RunError(f"a learner failed: {reason(error)}") from error
    return answer


def _object_store_bytes(config: FewShotConfig, shape: tuple[int, int, int]) -> int:
    """Return room for all batches in flight, twice."""
    episodes = config.episodes
    length = len(episodes.tasks) * (episodes.n_way * episodes.k_shot + episodes.n_query)
    sequences = (UPDATES_IN_FLIGHT + 1) * config.learner.batch_size + (
        EVALUATIONS_IN_FLIGHT + 1
    ) * EVALUATION_BATCH
    return 2 * sequences * length * math.prod(shape) + (256 << 20)
