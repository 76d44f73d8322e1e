"""Environments that break their contract in a worker of a cluster: one line, or they work."""

import numpy as np
import pytest
import ray
from ray.exceptions import RayTaskError

from launch.cluster.actors import WorkerActor
from launch.cluster.faults import reason
from launch.config.schema import RunConfig
from launch.flow.build import build_worker
from learners import Weights
from tests.envs.broken import BROKEN, ODD_BUT_FINE
from tests.launch.runs import TMAZE, changed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TREE = changed(TMAZE, launch__mode="ray", launch__envs_per_worker=2, learner__batch_size=2)


def task_of(name):
    return f"tests.envs.broken:{name}-v0"


@ray.remote(num_cpus=1)
class Process:
    """The process of a worker; one plays all environments, since a start takes seconds."""

    def play(self, name):
        """Act for two unrolls as a worker does; return rewards and the ends of the episodes."""
        config = RunConfig.model_validate(changed(TREE, envs__tasks=[task_of(name)]))
        agent = build_worker(config, 0).agent
        weights = Weights(0, {key: x.numpy() for key, x in agent.state_dict().items()})
        worker = WorkerActor(config.model_dump(), 0, 0)
        rollouts = [worker.rollout(weights)[0] for _ in range(2)]
        return [
            np.concatenate([getattr(r, part)[1:] for r in rollouts]) for part in ("reward", "first")
        ]


@pytest.fixture(scope="module")
def process():
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield Process.remote()
    ray.shutdown()


@pytest.mark.parametrize(("name", "message"), BROKEN.items())
def test_a_fault_reaches_the_driver_as_one_line(name, message, process):
    with pytest.raises(RayTaskError) as raised:
        ray.get(process.play.remote(name), timeout=60)
    line = reason(raised.value)
    assert f"task '{task_of(name)}'" in line
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ODD_BUT_FINE)
def test_what_is_odd_but_fine_works(name, process):
    reward, first = ray.get(process.play.remote(name), timeout=60)
    assert first.tolist() == [[t == 7] * 2 for t in range(1, 11)]
    assert np.isfinite(reward).all() and (reward >= 1).all()
