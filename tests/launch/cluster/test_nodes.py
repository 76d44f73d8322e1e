"""A cluster of two nodes, both on this machine, and a learner that cannot keep up."""

from subprocess import TimeoutExpired

import pytest
import ray
from ray.cluster_utils import Cluster

from launch.cluster.learners import UPDATES_IN_FLIGHT
from tests.launch.runs import PROCGEN, changed, rows, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORKERS, ENVS, STEPS, BATCH, QUEUE = 16, 4, 20, 8, 2


@pytest.fixture
def cluster():
    """Two nodes that pretend to have CPUs for nine actors each, so that the run needs both."""
    node = {"num_cpus": 9, "object_store_memory": 200 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    ray.init(address=cluster.address, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def bytes_in_flight():
    """Return what the object stores of all nodes hold, as Ray counts it."""
    total = ray.cluster_resources()["object_store_memory"]
    return total - ray.available_resources().get("object_store_memory", 0)


def test_sixteen_workers_on_two_nodes_keep_within_what_may_be_in_flight(cluster, start, tmp_path):
    tree = changed(
        PROCGEN,
        total_frames=6_400,
        log_every_frames=BATCH * STEPS,  # a row for every update
        learner__unroll_length=STEPS,
        learner__batch_size=BATCH,
        launch__mode="ray",
        launch__address=cluster.address,
        launch__workers=WORKERS,
        launch__envs_per_worker=ENVS,
        launch__queue_batches=QUEUE,
        launch__learner_threads=1,  # one core for what sixteen workers collect
        checkpoint__every_frames=10**9,
        run_dir="run",
    )
    driver = start("train", str(write_config(tmp_path / "c.yaml", tree)))
    seen = []
    while driver.process.poll() is None:
        seen.append(bytes_in_flight())
        try:
            driver.process.wait(timeout=0.2)
        except TimeoutExpired:
            driver.look()
    assert driver.ends() == 0, driver.text()
    table = rows(driver.run)
    assert table[-1]["frames"] == 6_400
    # It is the learner that everything waits for, and the workers do pause.
    depths = [row["queue/depth"] for row in table]
    assert max(depths) > QUEUE
    assert max(depths) <= (QUEUE * BATCH + WORKERS * ENVS) / BATCH
    frame = 64 * 64 * 3
    # What waits, what the learner has been given, and one rollout that each worker has finished and
    # one that it fills; beside them two versions of the weights, small things of Ray's own.
    unrolls = (QUEUE + UPDATES_IN_FLIGHT) * BATCH + 2 * WORKERS * ENVS
    rollouts = unrolls * (STEPS + 1) * frame
    assert max(seen) > 0.2 * rollouts, "the measurement sees nothing"
    assert max(seen) < rollouts + (16 << 20)
