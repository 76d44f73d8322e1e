"""Create a run's actors on the cluster that this process is connected to."""

from __future__ import annotations

from typing import Any

import ray

from launch.cluster.actors import LearnerActor, WorkerActor
from launch.cluster.connect import connect
from launch.config.schema import RunConfig
from launch.flow.resources import share_out


class Cluster:
    """A connection to Ray, and what each actor of the run reserves of it.

    Raises:
        UserError: if no cluster answers, or it has too few GPUs.
    """

    worker_class: type = WorkerActor
    learner_class: type = LearnerActor

    def __init__(self, config: RunConfig) -> None:
        connect(config)
        self._tree = config.model_dump(mode="json")
        gpus = int(ray.cluster_resources().get("GPU", 0))
        self._gpus = share_out(gpus, config, config.launch.workers)

    # Any: what an actor can do is made by Ray when it runs.
    def worker(self, index: int, restart: int) -> Any:
        """Start worker `index`; `restart` differs each time."""
        return self._actor(self.worker_class, self._gpus.worker).remote(self._tree, index, restart)

    def learner(self, rank: int) -> Any:
        """Start learner `rank`."""
        return self._actor(self.learner_class, self._gpus.learner).remote(self._tree, rank)

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

    @staticmethod
    def _actor(part: type, gpus: float) -> Any:
        return ray.remote(part).options(num_cpus=1, num_gpus=gpus)
