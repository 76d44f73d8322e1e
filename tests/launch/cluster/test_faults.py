"""Ray runs in which something fails: real processes, real environments."""

import os
import subprocess
import sys

import pytest
from ray.cluster_utils import Cluster

from learners import checkpoint as store
from tests.launch.runs import (
    TMAZE,
    changed,
    checkpoint,
    checkpoints,
    rows,
    write_config,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ENDLESS = 10**9


def config_of(folder, tasks, workers, **changes):
    """Write a configuration in which worker i has one environment, of task i in turn."""
    tree = changed(
        TMAZE,
        total_frames=ENDLESS,
        envs__tasks=[f"tests.launch.cluster.worlds:{task}-v0" for task in tasks],
        launch__mode="ray",
        launch__workers=workers,
        launch__envs_per_worker=1,
        learner__batch_size=2,
        log_every_frames=200,
        checkpoint__every_frames=ENDLESS,
        run_dir="run",
    )
    return str(write_config(folder / "c.yaml", changed(tree, **changes)))


def faults(driver, name):
    """Return how often this fault has happened, by the last row."""
    try:
        return rows(driver.run)[-1].get(f"faults/{name}", 0)
    except (OSError, ValueError, IndexError):
        return 0


def test_a_run_outlives_its_learner_and_environments_that_raise_and_hang(start, tmp_path):
    config = config_of(tmp_path, ["Sound", "Raises", "Hangs"], 3, launch__worker_timeout=6.0)
    driver = start("train", config)
    # One worker raises and one hangs every 200 steps, for ever.
    driver.wait_until(lambda: faults(driver, "worker_restarts") >= 2)
    driver.learners()[0].kill()
    driver.wait_until(lambda: faults(driver, "learner_restarts") == 1)
    then = driver.frames()
    driver.wait_until(lambda: driver.frames() > then + 400)
    for words in ("RuntimeError: simulator lost its connection", "no rollout for", "the learner"):
        assert words in " ".join(driver.text().split())
    frames = [row["frames"] for row in rows(driver.run)]
    versions = [row["updates"] for row in rows(driver.run)]
    assert frames == sorted(set(frames))
    assert versions == sorted(set(versions))
    driver.process.terminate()
    assert driver.ends() == 0, driver.text()
    assert driver.leaves_nothing()
    assert store.load(checkpoint(driver.run, checkpoints(driver.run)[-1]))


def test_a_task_that_cannot_be_played_ends_the_run_saved_and_with_a_hint(start, tmp_path):
    driver = start("train", config_of(tmp_path, ["Sound", "Broken"], 2))
    assert driver.ends() == 1, driver.text()
    assert driver.leaves_nothing()
    last = driver.text().splitlines()[-1]
    for words in ("Broken-v0", "simulator cannot start", "srwm train --resume run"):
        assert words in last
    assert checkpoints(driver.run)


@pytest.fixture
def cluster():
    """A head with a place for the learner and a worker, and a node with one for another."""
    node = {"object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **node})
    cluster.leaver = cluster.add_node(num_cpus=1, **node)
    yield cluster
    cluster.shutdown()


def test_a_run_outlives_a_node_that_leaves(cluster, start, tmp_path):
    address = {"launch__address": cluster.address, "launch__learner_threads": 1}
    driver = start("train", config_of(tmp_path, ["Sound"], 2, **address))
    driver.wait_until(lambda: driver.frames() >= 400)
    cluster.remove_node(cluster.leaver, allow_graceful=False)
    driver.wait_until(lambda: faults(driver, "worker_restarts") == 1)
    then = driver.frames()
    driver.wait_until(lambda: driver.frames() > then + 400)
    driver.process.terminate()
    assert driver.ends() == 0, driver.text()
    assert "died or failed and is restarted" in " ".join(driver.text().split())


@pytest.fixture(scope="module")
def head():
    """The address of a head that asks for a token."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 32}
    code = (
        "import sys, ray._private.node as node, ray._private.parameter as parameter\n"
        "head = node.Node(parameter.RayParams(num_cpus=1, include_dashboard=False), head=True)\n"
        "print(head.gcs_address, flush=True)\n"
        "sys.stdin.read()\n"
    )
    environment = {**os.environ, **token}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.wait()


@pytest.mark.parametrize("token", [{}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "1" * 32}])
def test_a_wrong_or_missing_token_is_one_line(token, head, start, tmp_path, monkeypatch):
    for name, value in token.items():
        monkeypatch.setenv(name, value)
    driver = start("train", config_of(tmp_path, ["Sound"], 1, launch__address=head))
    assert driver.ends() == 2, driver.text()
    (line,) = driver.text().splitlines()
    assert "launch.address" in line
    assert "token" in line
    assert not driver.run.exists()
