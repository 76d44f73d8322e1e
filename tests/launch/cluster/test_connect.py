"""Which cluster a run joins, and why it cannot. No cluster is started here."""

import socket
import sys

import pytest
import ray

from launch.cluster import connect, probe
from launch.cluster.connect import Demand, check_address
from launch.cluster.probe import other_versions
from launch.config.source import parse_config
from launch.errors import RunError, UserError
from launch.flow.resources import cluster_address, worker_threads
from launch.machine.auto import MOST_WORKERS, resolve_auto
from tests.launch.runs import TMAZE, changed

HERE = {
    "ray_version": ray.__version__,
    "python_version": ".".join(map(str, sys.version_info[:3])),
}


def config_of(**launch):
    tree = changed(TMAZE, launch__mode="ray", **{f"launch__{k}": v for k, v in launch.items()})
    return parse_config(tree, [], "test")


def test_a_run_without_an_address_starts_its_own_cluster(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert cluster_address(config_of()) is None
    assert cluster_address(config_of(address="10.0.0.2:6379")) == "10.0.0.2:6379"


def test_a_submitted_job_runs_on_its_own_cluster(monkeypatch):
    # What the job server of Ray sets: dashboard/modules/job/job_supervisor.py
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert cluster_address(config_of()) == "auto"
    assert cluster_address(config_of(address="10.0.0.2:6379")) == "10.0.0.2:6379"
    assert worker_threads(config_of(workers=1)) == 1  # not all cores of the head


def test_auto_on_a_cluster_starts_with_few_workers_that_share_the_tasks_and_may_grow():
    tree = changed(
        TMAZE,
        envs__tasks=["memory/TMaze-8", "memory/TMaze-30", "memory/TMaze-100"],
        launch__mode="ray",
        launch__address="10.0.0.2:6379",
        launch__workers="auto",
        launch__envs_per_worker=4,
    )
    launch = resolve_auto(parse_config(tree, [], "test")).launch
    assert (launch.workers, launch.max_workers) == (3, MOST_WORKERS)
    tree["launch"]["max_workers"] = 12
    assert resolve_auto(parse_config(tree, [], "test")).launch.max_workers == 12


def test_equal_versions_are_no_reason():
    assert other_versions(HERE) == ""


@pytest.mark.parametrize(
    ("key", "words"),
    [("ray_version", "it runs Ray 0.1.2 and"), ("python_version", "it runs Python 0.1.2 and")],
)
def test_another_version_is_named(key, words):
    assert words in other_versions({**HERE, key: "0.1.2"})


def test_python_may_differ_in_its_last_number_where_ray_is_told_so(monkeypatch):
    minor = HERE["python_version"].rpartition(".")[0]
    assert "Python" in other_versions({**HERE, "python_version": f"{minor}.99"})
    monkeypatch.setenv("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL", "minor")
    assert other_versions({**HERE, "python_version": f"{minor}.99"}) == ""
    assert "Python" in other_versions({**HERE, "python_version": "3.1.99"})


def test_an_address_where_something_else_listens_is_one_line(monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 4.0)
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port}.*does not answer as Ray does"):
            check_address(f"127.0.0.1:{port}")


@pytest.fixture
def no_start(monkeypatch):
    """Ray does not start: it raises what it was asked for."""

    def init(**options):
        raise Exception(f"The current node timed out\n  with {options['object_store_memory']}")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(connect, "SHARED_MEMORY", "/")  # is there on every machine


@pytest.mark.usefixtures("no_start")
def test_an_object_store_that_the_shared_memory_does_not_hold_is_refused(monkeypatch):
    monkeypatch.setattr(connect, "shared_memory_bytes", lambda: 64 << 20)  # Docker's default
    with pytest.raises(UserError) as refused:
        connect.connect(Demand(None, 2, (300 << 20) + 1, ()))
    line = str(refused.value)
    assert line.startswith("launch.mode ray: needs 300 MB in /, where 64 MB are free")
    assert "--shm-size" in line and "launch.workers" in line
    with pytest.raises(RunError):  # exactly enough: Ray is asked to start
        connect.connect(Demand(None, 2, 64 << 20, ()))


@pytest.mark.usefixtures("no_start")
def test_a_ray_that_does_not_start_is_one_line(monkeypatch):
    monkeypatch.setattr(connect, "shared_memory_bytes", lambda: 1 << 40)
    with pytest.raises(RunError) as ended:
        connect.connect(Demand(None, 2, 7, ()))
    line = "Ray cannot start on this machine: Exception: The current node timed out with 7"
    assert str(ended.value) == line
