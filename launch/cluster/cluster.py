"""Create a run's actors on the cluster that this process is connected to."""

from __future__ import annotations

from typing import Any

import ray

from envs import env_spec
from launch.cluster.actors import LearnerActor, WorkerActor
from launch.cluster.connect import Demand, connect
from launch.cluster.evaluator import EvaluatorActor
from launch.cluster.learners import UPDATES_IN_FLIGHT
from launch.config.schema import RunConfig
from launch.flow.resources import cluster_address, share_out


class Connection:
    """A connection to Ray.

    Raises:
        UserError: if no cluster answers.
    """

    def __init__(self, demand: Demand) -> None:
        connect(demand)
        self.gpus = int(ray.cluster_resources().get("GPU", 0))

    def free_cpus(self) -> int:
        """Return the CPUs of all nodes on which no actor runs."""
        return int(ray.available_resources().get("CPU", 0))

    def describe(self) -> str:
        """Return how the nodes and their object stores are."""
        nodes = ray.nodes()
        lost = sum(not node["Alive"] for node in nodes)
        size = ray.cluster_resources().get("object_store_memory", 0.0)
        free = ray.available_resources().get("object_store_memory", 0.0)
        used = f"object stores {1 - free / size:.0%} full" if size else "no object store"
        return f"{used}, {len(nodes) - lost} nodes alive, {lost} lost"

    def close(self) -> None:
        """Disconnect, and stop the cluster if it was started here."""
        ray.shutdown()

    # Any: what an actor can do is made by Ray when it runs.
    @staticmethod
    def actor(part: type, gpus: float) -> Any:
        """Return an actor's class with what it reserves: a CPU, and a share of a GPU."""
        return ray.remote(part).options(num_cpus=1, num_gpus=gpus)


class Cluster(Connection):
    """The cluster of a run of workers and learners.

    Raises:
        UserError: if no cluster answers, or it has too few GPUs.
    """

    worker_class: type = WorkerActor
    learner_class: type = LearnerActor

    def __init__(self, config: RunConfig) -> None:
        super().__init__(_demand(config))
        self._tree = config.model_dump(mode="json")
        self._gpus = share_out(self.gpus, config, config.launch.workers)

    def worker(self, index: int, restart: int) -> Any:
        """Start worker `index`; `restart` differs each time."""
        return self.actor(self.worker_class, self._gpus.worker).remote(self._tree, index, restart)

    def learner(self, rank: int) -> Any:
        """Start learner `rank`."""
        return self.actor(self.learner_class, self._gpus.learner).remote(self._tree, rank)

    def evaluator(self) -> Any:
        """Start what plays held-out levels; it takes the CPU time that the others leave."""
        return ray.remote(EvaluatorActor).options(num_cpus=0).remote(self._tree)


def _demand(config: RunConfig) -> Demand:
    return Demand(
        cluster_address(config),
        config.launch.workers + config.learner.devices,
        _object_store_bytes(config),
        (*config.imports, *config.envs.modules),
    )


def _object_store_bytes(config: RunConfig) -> int:
    """Return room for every rollout in flight, twice: what is bounded needs no more."""
    learner, launch = config.learner, config.launch
    unrolls = (
        launch.queue_batches + UPDATES_IN_FLIGHT
    ) * learner.batch_size + 2 * launch.workers * launch.envs_per_worker
    frame = env_spec(config.envs).observation_bytes
    return 2 * unrolls * (learner.unroll_length + 1) * frame + (256 << 20)
