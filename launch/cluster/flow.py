"""Dispatch a Ray run: rollouts to the learners, new weights to the workers.

A frame is copied three times on its way: from ProcGen into the rollout, from there into the object
store when the worker returns it, and into the batch where that is made of several rollouts or goes
to a GPU. The learner reads what lies in its node's object store; between nodes Ray sends it once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import ray

from launch.cluster.cluster import Cluster
from launch.cluster.evaluator import Evaluator
from launch.cluster.faults import LostInputError
from launch.cluster.learners import (
    TICK_SECONDS,
    UPDATES_IN_FLIGHT,
    LearnerFailedError,
    LearnerGroup,
    Learnt,
)
from launch.cluster.pool import WorkerPool
from launch.cluster.watchdog import Watchdog
from launch.config.schema import RunConfig
from launch.errors import RunError
from launch.flow.base import FlowState, RolloutInfo, UpdateReport
from launch.flow.batcher import Batcher
from learners import NonfiniteUpdate

# Weights cost an object and a copy for every node. A rollout lags by about one round of all workers
# anyway, because theirs are learnt from meanwhile; this adds an eighth to that at most.
PUBLISHED_IN_A_ROUND = 8
GROW_SECONDS = 10.0  # between two looks whether there is room, and need, for more workers


class RayFlow:
    """The driver's side: it moves references, never frames, and bounds what is in flight.

    What fails is replaced: a worker, or the learners from the newest state, see `newest`.

    Args:
        config: of the run.
        saved: what an earlier flow saved.
        cluster: creates the actors; by default a connection to the cluster of `config`.
        clock: the time in seconds.

    Raises:
        RunError: if the learners cannot start.
    """

    def __init__(
        self,
        config: RunConfig,
        saved: FlowState | None = None,
        cluster: Cluster | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.cluster = cluster or Cluster(config)
        self.faults: Counter[str] = Counter()
        self._clock = clock
        self._watchdog = Watchdog(clock)
        self._new_batcher()
        launch, state = config.launch, saved.learner if saved else None
        self.learners = LearnerGroup(
            self.cluster.learner,
            config.learner.devices,
            state,
            self.faults,
            launch.max_learner_restarts,
            while_waiting=self._look,
            clock=clock,
        )
        self.pool = WorkerPool(
            self.cluster.worker,
            self._tasks,
            launch.workers,
            self.faults,
            saved.frames if saved else 0,
            launch.worker_timeout,
            clock,
        )
        try:
            self.learners.wait_for_start()
        except LearnerFailedError as error:
            self.learners.restart(str(error))
        self.weights = self.learners.weights()
        self.evaluator = Evaluator(config, self.cluster.evaluator)
        self._arrived: list[RolloutInfo] = []
        self._asked = 0  # updates
        self._next_check = self._next_growth = clock()

    def update(self) -> UpdateReport:
        """Keep workers and learner busy until the oldest update in flight is done.

        Its frames are those of the last report and those of a batch more; or fewer, if the learners
        had to go back to the newest state.

        Raises:
            RunError: if a task has no worker left, or the learners fail again and again.
        """
        before = self.learners.frames
        try:
            report = self._next_report()
        except RunError:
            self.learners.keep_now()
            raise
        self.evaluator.offer(self.weights, before, report.frames)
        return report._replace(trial=self.evaluator.take())

    def save(self) -> FlowState:
        """Return the learner's state; the workers begin new episodes when a run is resumed.

        If the learner fails meanwhile, this is the newest state that is there.

        Raises:
            RunError: if the learners fail again and again.
        """
        try:
            return FlowState(self.learners.state())
        except LearnerFailedError as error:
            self._restart_learners(str(error))
            return self.newest()

    def newest(self) -> FlowState:
        """Return the newest state that is in this process, without waiting."""
        return FlowState(self.learners.newest)

    def nonfinite(self) -> list[NonfiniteUpdate]:
        """Return what each learner had in the update for which training is given up, if it is."""
        return self.learners.nonfinite()

    def close(self) -> None:
        """Stop the actors, and the cluster if it was started here."""
        self.evaluator.close()
        self.pool.close()
        self.learners.close()
        self.cluster.close()

    @property
    def _updates_to_publish(self) -> int:
        """How many updates there are for each that publishes its weights."""
        envs = len(self.pool.workers) * self.config.launch.envs_per_worker
        return max(1, int(envs / self.config.learner.batch_size / PUBLISHED_IN_A_ROUND))

    def _tasks(self, worker: int) -> list[str]:
        """Return the tasks of a worker's environments; see `envs.make_env`."""
        tasks, envs = self.config.envs.tasks, self.config.launch.envs_per_worker
        return [tasks[index % len(tasks)] for index in range(worker * envs, (worker + 1) * envs)]

    def _new_batcher(self) -> None:
        self.batcher: Batcher[ray.ObjectRef] = Batcher(self.config.learner.batch_size)

    def _next_report(self) -> UpdateReport:
        while True:
            self._check()
            self._dispatch()
            refs = [*self.pool.requests, *self.learners.pending]
            for done in ray.wait(refs, num_returns=1, timeout=TICK_SECONDS)[0]:
                if done in self.pool.requests:
                    self._collect(done)
                elif learnt := self._learnt(done):
                    self._watchdog.progress()
                    arrived, self._arrived = self._arrived, []
                    faults, depth = dict(self.faults), self.batcher.depth
                    return UpdateReport(*learnt.report, arrived, depth, faults)

    def _dispatch(self) -> None:
        """Give work to whoever may have some."""
        launch, learner = self.config.launch, self.config.learner
        updates, frames = self.learners.updates, learner.unroll_length * learner.batch_size
        while (
            self.batcher.ready
            and len(updates) < UPDATES_IN_FLIGHT
            and self.learners.frames + len(updates) * frames < self.config.total_frames
        ):
            self._ask_for_update()
        # In flight is then at most this and one rollout of each worker.
        limit = launch.queue_batches * learner.batch_size
        while self.pool.idle and self.batcher.waiting < limit:
            self.pool.ask(self.weights)

    def _ask_for_update(self) -> None:
        """Share the oldest batch out to the learners."""
        self._asked += 1
        publish = self._asked % self._updates_to_publish == 0
        devices = self.config.learner.devices
        share = self.config.learner.batch_size // devices
        self.learners.ask([self.batcher.take(share) for _ in range(devices)], publish)

    def _collect(self, done: ray.ObjectRef) -> None:
        """Queue a finished rollout."""
        try:
            arrival = self.pool.collect(done)
        except LostInputError:  # the weights, which lay where the learner was
            self._renew_weights()
            return
        if arrival:
            rollout, info = arrival
            self.batcher.add(rollout, info.num_envs)
            self._arrived.append(info)

    def _learnt(self, done: ray.ObjectRef) -> Learnt | None:
        """Return the oldest update, if it is done."""
        try:
            learnt = self.learners.collect(done)
        except LostInputError:
            return None
        except LearnerFailedError as error:
            self._restart_learners(str(error))
            return None
        if learnt and learnt.weights:
            # Only now: a worker that is given what is not there yet would wait for it.
            self.weights = learnt.weights
        return learnt

    def _renew_weights(self) -> None:
        try:
            self.weights = self.learners.weights()
        except LearnerFailedError as error:
            self._restart_learners(str(error))

    def _restart_learners(self, why: str) -> None:
        # Rollouts that wait may lie where the learner was.
        self.faults["rollouts_lost"] += len(self.batcher.pieces())
        self._new_batcher()
        self.learners.restart(why)
        self._renew_weights()

    def _check(self) -> None:
        """Look once a second for what hangs, and now and then for room for more workers."""
        now = self._clock()
        if now < self._next_check:
            return
        self._next_check = now + TICK_SECONDS
        self.pool.replace_overdue()
        try:
            self.learners.check_overdue()
        except LearnerFailedError as error:
            self._restart_learners(str(error))
        if now >= self._next_growth:
            self._next_growth = now + GROW_SECONDS
            self._grow()
        self._look()

    def _grow(self) -> None:
        """Add workers while the learner waits for rollouts and a CPU is free."""
        size, most = len(self.pool.workers), self.config.launch.max_workers or 0
        if size < most and not (self.learners.updates or self.pool.unplaced):
            # By half at most, so that the next look sees what it has brought.
            number = min(self.cluster.free_cpus(), most - size, max(1, size // 2))
            if number > 0:
                self.pool.grow(number)

    def _look(self) -> None:
        self._watchdog.look(self._describe)

    def _describe(self) -> str:
        waiting = f"{self.batcher.depth:.1f} batches wait"
        return "; ".join(
            [self.learners.describe(), self.pool.describe(), waiting, self.cluster.describe()]
        )
