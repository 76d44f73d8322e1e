"""The same parts as Ray actors: acting and learning overlap, on one machine or many.

A frame is copied three times on its way: from ProcGen into the rollout, from there into the object
store when the worker returns it, and into the batch where that is made of several rollouts or goes
to a GPU. The learner reads what lies in its node's object store; between nodes Ray sends it once.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayActorError, RayTaskError

from envs import env_spec
from launch.cluster.actors import LearnerActor, WorkerActor
from launch.cluster.connect import no_cluster
from launch.config.plugins import own_modules
from launch.config.schema import RunConfig
from launch.errors import RunError
from launch.flow.base import RolloutInfo, UpdateReport
from launch.flow.batcher import Batcher
from launch.flow.resources import cpu_count, share_out
from learners import TrainingDivergedError

log = logging.getLogger(__name__)

# One update runs and the next one is ready to; more would only raise the lag.
UPDATES_IN_FLIGHT = 2
# Weights cost an object and a copy for every node. A rollout lags by about one round of all workers
# anyway, because theirs are learnt from meanwhile; this adds an eighth to that at most.
PUBLISHED_IN_A_ROUND = 8
# A worker that dies this often without finishing a rollout will not get better.
DEATHS_IN_A_ROW = 3


class Order(NamedTuple):
    """A rollout that a worker has been asked for."""

    worker: int
    rollout: ray.ObjectRef


class Update(NamedTuple):
    """An update that the learners have been asked for."""

    report: ray.ObjectRef  # the first learner's
    weights: ray.ObjectRef | None  # where it publishes them
    pending: list[ray.ObjectRef]  # the reports of those learners that are not done


class RayFlow:
    """The driver's side: it moves references, never frames, and bounds what is in flight."""

    worker_class: type = WorkerActor
    learner_class: type = LearnerActor

    def __init__(self, config: RunConfig, saved: dict[str, Any] | None = None) -> None:
        self.config = config
        self._connect()
        self.batcher: Batcher[ray.ObjectRef] = Batcher(config.learner.batch_size)
        self._tree = config.model_dump(mode="json")
        frames = saved["learner"]["frames"] if saved else 0
        self._lives = frames
        gpus = int(ray.cluster_resources().get("GPU", 0))
        self._gpus = share_out(gpus, config, config.launch.workers)
        self.learners, starts = self._start_learners(saved["learner"] if saved else None)
        self.workers = [self._start_worker(i) for i in range(config.launch.workers)]
        for start in starts:
            self._result(start)
        self.weights = self.learners[0].weights.remote()
        self._deaths = [0] * config.launch.workers
        self._idle = deque(range(config.launch.workers))
        self._orders: dict[ray.ObjectRef, Order] = {}  # by the reference to their RolloutInfo
        self._updates: deque[Update] = deque()  # in order
        self._arrived: list[RolloutInfo] = []
        self._asked = 0  # updates
        self._unlearnt = config.total_frames - frames  # frames not yet given to the learner

    @property
    def _updates_to_publish(self) -> int:
        """How many updates there are for each that publishes its weights."""
        launch = self.config.launch
        updates_in_a_round = (
            launch.workers * launch.envs_per_worker / self.config.learner.batch_size
        )
        return max(1, int(updates_in_a_round / PUBLISHED_IN_A_ROUND))

    def update(self) -> UpdateReport:
        """Keep workers and learner busy until the oldest update in flight is done."""
        while True:
            self._dispatch()
            pending = self._updates[0].pending if self._updates else []
            (done,), _ = ray.wait([*self._orders, *pending], num_returns=1)
            if done in self._orders:
                self._collect(done)
                continue
            latest = self._result(done)
            pending.remove(done)
            if pending:  # another learner is not done
                continue
            update = self._updates.popleft()
            report: UpdateReport = latest if done == update.report else ray.get(update.report)
            if update.weights:
                # Only now: a worker that is given what is not there yet would wait for it.
                self.weights = update.weights
            arrived, self._arrived = self._arrived, []
            return report._replace(rollouts=arrived, queue_depth=self.batcher.depth)

    def save(self) -> dict[str, Any]:
        """Return the learner's state; the workers begin new episodes when a run is resumed."""
        return {"learner": self._result(self.learners[0].state.remote())}

    def close(self) -> None:
        """Stop the actors, and the cluster if it was started here."""
        for actor in (*self.workers, *self.learners):
            ray.kill(actor)
        ray.shutdown()

    def _connect(self) -> None:
        launch = self.config.launch
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        # It would announce at every start that the cluster asks for a token, which is as it should.
        logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
        # Processes share the cores here. A thread that spins at a barrier keeps the very thread
        # that it waits for off the core.
        environment = {"OMP_WAIT_POLICY": "PASSIVE"}
        try:
            if launch.address:
                modules = (*self.config.imports, *self.config.envs.modules)
                ray.init(
                    address=launch.address,
                    logging_level=logging.WARNING,
                    runtime_env={"env_vars": environment, "py_modules": own_modules(modules)},
                )
            else:
                # What a worker imports must be what the driver sees, a user's environments too.
                inherited = os.environ.get("PYTHONPATH")
                environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.getcwd(), inherited]))
                # Nobody asks this cluster what each task did; kept, it would grow for hours.
                os.environ.setdefault("RAY_task_events_report_interval_ms", "0")
                ray.init(
                    # Ray's count is of permits, not of cores: every actor must find one.
                    num_cpus=max(cpu_count(), launch.workers + self.config.learner.devices),
                    include_dashboard=False,
                    object_store_memory=self._object_store_bytes(),
                    logging_level=logging.WARNING,
                    runtime_env={"env_vars": environment},
                )
        except ConnectionError as error:
            raise no_cluster(launch.address, error) from None
        cpus = ray.cluster_resources().get("CPU", 0)
        actors = launch.workers + self.config.learner.devices
        if cpus < actors:
            log.warning("%d CPUs for %d workers and learners: the rest wait", cpus, actors)

    def _object_store_bytes(self) -> int:
        """Return room for every rollout in flight, twice: what is bounded needs no more."""
        learner, launch = self.config.learner, self.config.launch
        unrolls = (
            launch.queue_batches + UPDATES_IN_FLIGHT
        ) * learner.batch_size + 2 * launch.workers * launch.envs_per_worker
        frame = env_spec(self.config.envs).observation_bytes
        return 2 * unrolls * (learner.unroll_length + 1) * frame + (256 << 20)

    def _start_learners(
        self, saved: dict[str, Any] | None
    ) -> tuple[list[Any], list[ray.ObjectRef]]:
        """Return the learners, and what is there once each has started."""
        devices = self.config.learner.devices
        actor = self._actor(self.learner_class, self._gpus.learner)
        learners = [actor.remote(self._tree, rank) for rank in range(devices)]
        place = learners[0].meeting_place.remote() if devices > 1 else None
        shared = ray.put(saved)
        return learners, [learner.start.remote(place, shared) for learner in learners]

    def _start_worker(self, index: int) -> Any:
        self._lives += 1
        actor = self._actor(self.worker_class, self._gpus.worker)
        return actor.remote(self._tree, index, self._lives)

    @staticmethod
    def _actor(part: type, gpus: float) -> Any:
        # Any: what an actor can do is made by Ray when it runs.
        return ray.remote(part).options(num_cpus=1, num_gpus=gpus)

    def _dispatch(self) -> None:
        """Give work to whoever may have some."""
        launch, learner = self.config.launch, self.config.learner
        while self.batcher.ready and len(self._updates) < UPDATES_IN_FLIGHT and self._unlearnt > 0:
            self._updates.append(self._ask_for_update())
            self._unlearnt -= learner.unroll_length * learner.batch_size
        # In flight is then at most this and one rollout of each worker.
        limit = launch.queue_batches * learner.batch_size
        while self._idle and self.batcher.waiting < limit:
            index = self._idle.popleft()
            rollout, info = self.workers[index].rollout.remote(self.weights)
            self._orders[info] = Order(index, rollout)

    def _ask_for_update(self) -> Update:
        """Share the oldest batch out to the learners."""
        number, self._asked = self._asked, self._asked + 1
        publish = self._asked % self._updates_to_publish == 0
        share = self.config.learner.batch_size // self.config.learner.devices
        refs = []
        for rank, learner in enumerate(self.learners):
            pieces = self.batcher.take(share)
            cuts = [(piece.start, piece.stop) for piece in pieces]
            rollouts = (piece.rollout for piece in pieces)
            refs.append(learner.update.remote(number, cuts, publish and rank == 0, *rollouts))
        report, weights = refs[0]
        return Update(report, weights if publish else None, pending=[each for each, _ in refs])

    def _result(self, done: ray.ObjectRef) -> Any:
        """Return what a learner has done.

        Raises:
            RunError: if it died, or if it lost the others of its group.
        """
        try:
            return ray.get(done)
        except RayActorError as error:
            raise RunError(f"the learner died: {_first_line(error)}") from error
        except RayTaskError as error:
            # A learner that dies leaves the others in the middle of a sum, which then fails.
            if self.config.learner.devices == 1 or isinstance(error, TrainingDivergedError):
                raise
            raise RunError(f"a learner of the group failed: {_first_line(error.cause)}") from error

    def _collect(self, done: ray.ObjectRef) -> None:
        """Queue a finished rollout; start its worker anew if it died."""
        order = self._orders.pop(done)
        try:
            info: RolloutInfo = ray.get(done)
        except RayActorError as error:
            self._deaths[order.worker] += 1
            reason = _first_line(error)
            if self._deaths[order.worker] >= DEATHS_IN_A_ROW:
                raise RunError(f"worker {order.worker} dies again and again: {reason}") from error
            log.warning("worker %d died and is started anew: %s", order.worker, reason)
            self.workers[order.worker] = self._start_worker(order.worker)
        else:
            self._deaths[order.worker] = 0
            self.batcher.add(order.rollout, info.num_envs)
            self._arrived.append(info)
        self._idle.append(order.worker)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
