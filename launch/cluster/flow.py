"""Dispatch a Ray run: rollouts to the learners, new weights to the workers.

A frame is copied three times on its way: from ProcGen into the rollout, from there into the object
store when the worker returns it, and into the batch where that is made of several rollouts or goes
to a GPU. The learner reads what lies in its node's object store; between nodes Ray sends it once.
"""

from __future__ import annotations

from collections import deque

import ray

from launch.cluster.cluster import Cluster
from launch.cluster.learners import UPDATES_IN_FLIGHT, LearnerGroup, Update
from launch.cluster.pool import WorkerPool
from launch.config.schema import RunConfig
from launch.flow.base import FlowState, LearnerReport, RolloutInfo, UpdateReport
from launch.flow.batcher import Batcher

# Weights cost an object and a copy for every node. A rollout lags by about one round of all workers
# anyway, because theirs are learnt from meanwhile; this adds an eighth to that at most.
PUBLISHED_IN_A_ROUND = 8


class RayFlow:
    """The driver's side: it moves references, never frames, and bounds what is in flight.

    Args:
        config: of the run.
        saved: what an earlier flow saved.
        cluster: creates the actors; by default a connection to the cluster of `config`.
    """

    def __init__(
        self,
        config: RunConfig,
        saved: FlowState | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self.config = config
        self.cluster = cluster or Cluster(config)
        self.batcher: Batcher[ray.ObjectRef] = Batcher(config.learner.batch_size)
        state, frames = (saved.learner, saved.frames) if saved else (None, 0)
        self.learners = LearnerGroup(self.cluster.learner, config.learner.devices, state)
        self.pool = WorkerPool(self.cluster.worker, config.launch.workers, frames)
        self.learners.wait()
        self.weights = self.learners.weights()
        self._updates: deque[Update] = deque()  # in order
        self._arrived: list[RolloutInfo] = []
        self._asked = 0  # updates
        self._unlearnt = config.total_frames - frames  # frames not yet given to the learner

    def update(self) -> UpdateReport:
        """Keep workers and learner busy until the oldest update in flight is done."""
        while True:
            self._dispatch()
            pending = self._updates[0].pending if self._updates else []
            (done,), _ = ray.wait([*self.pool.requests, *pending], num_returns=1)
            if done in self.pool.requests:
                self._collect(done)
                continue
            latest = self.learners.result(done)
            pending.remove(done)
            if pending:  # another learner is not done
                continue
            update = self._updates.popleft()
            learnt: LearnerReport = latest if done == update.report else ray.get(update.report)
            if update.weights:
                # Only now: a worker that is given what is not there yet would wait for it.
                self.weights = update.weights
            arrived, self._arrived = self._arrived, []
            return UpdateReport(*learnt, arrived, self.batcher.depth)

    def save(self) -> FlowState:
        """Return the learner's state; the workers begin new episodes when a run is resumed."""
        return FlowState(learner=self.learners.state())

    def close(self) -> None:
        """Stop the actors, and the cluster if it was started here."""
        self.pool.close()
        self.learners.close()
        self.cluster.close()

    @property
    def _updates_to_publish(self) -> int:
        """How many updates there are for each that publishes its weights."""
        launch = self.config.launch
        updates_in_a_round = (
            launch.workers * launch.envs_per_worker / self.config.learner.batch_size
        )
        return max(1, int(updates_in_a_round / PUBLISHED_IN_A_ROUND))

    def _dispatch(self) -> None:
        """Give work to whoever may have some."""
        launch, learner = self.config.launch, self.config.learner
        while self.batcher.ready and len(self._updates) < UPDATES_IN_FLIGHT and self._unlearnt > 0:
            self._updates.append(self._ask_for_update())
            self._unlearnt -= learner.unroll_length * learner.batch_size
        # In flight is then at most this and one rollout of each worker.
        limit = launch.queue_batches * learner.batch_size
        while self.pool.idle and self.batcher.waiting < limit:
            self.pool.ask(self.weights)

    def _ask_for_update(self) -> Update:
        """Share the oldest batch out to the learners."""
        self._asked += 1
        publish = self._asked % self._updates_to_publish == 0
        devices = self.config.learner.devices
        share = self.config.learner.batch_size // devices
        return self.learners.update([self.batcher.take(share) for _ in range(devices)], publish)

    def _collect(self, done: ray.ObjectRef) -> None:
        """Queue a finished rollout."""
        arrival = self.pool.collect(done)
        if arrival:
            rollout, info = arrival
            self.batcher.add(rollout, info.num_envs)
            self._arrived.append(info)
