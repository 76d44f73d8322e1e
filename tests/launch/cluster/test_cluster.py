"""What the driver of a Ray run hands out. Its actors here only note what they are asked."""

from itertools import count

import pytest
import ray

from launch.cluster.flow import RayFlow
from launch.config.source import parse_config
from launch.flow.base import LearnerReport
from tests.launch.runs import TMAZE, changed


class Actor:
    """Stands for an actor: every method of it returns two new references."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.asked = []

    def __getattr__(self, method):
        actor = self

        class Method:
            def remote(self, *arguments):
                actor.asked.append((method, arguments))
                return f"ref{next(actor.numbers)}", f"ref{next(actor.numbers)}"

        return Method()


class FakeCluster:
    """Creates such actors, and notes which."""

    def __init__(self):
        self.numbers = count()
        self.started = []

    def worker(self, index, restart):
        self.started.append((index, restart))
        return Actor(self.numbers)

    def learner(self, rank):
        return Actor(self.numbers)


@pytest.fixture(autouse=True)
def no_ray(monkeypatch):
    monkeypatch.setattr(ray, "put", lambda value: value)
    monkeypatch.setattr(ray, "get", lambda ref: None)


def flow_of(workers, waiting, **changes):
    tree = changed(
        TMAZE, launch__workers=workers, launch__envs_per_worker=4, learner__batch_size=8, **changes
    )
    flow = RayFlow(parse_config(tree, [], "test"), cluster=FakeCluster())
    for number in range(waiting // 4):
        flow.batcher.add(f"rollout{number}", 4)
    flow.weights = "weights of a finished update"
    for actor in flow.learners.actors:
        actor.asked.clear()  # what starts it
    return flow


def test_every_idle_worker_acts_with_finished_weights():
    flow = flow_of(workers=16, waiting=0)
    flow._dispatch()
    assert [worker.asked for worker in flow.pool.actors] == [[("rollout", (flow.weights,))]] * 16


def test_workers_pause_while_enough_waits():
    # Two batches go to the learner, and two more wait: that is the queue's length.
    flow = flow_of(workers=3, waiting=32, launch__queue_batches=2)
    flow._dispatch()
    assert len(flow._updates) == 2
    assert flow.batcher.waiting == 16
    assert [worker.asked for worker in flow.pool.actors] == [[]] * 3


def test_the_last_update_is_asked_for_even_if_it_goes_beyond_the_frames():
    flow = flow_of(workers=2, waiting=16, total_frames=41)  # updates are of 40 frames
    flow._dispatch()
    assert [method for method, _ in flow.learners.actors[0].asked] == ["update", "update"]
    flow = flow_of(workers=2, waiting=16, total_frames=40)
    flow._dispatch()
    assert [method for method, _ in flow.learners.actors[0].asked] == ["update"]


def test_learners_share_a_batch():
    tree = {"launch__mode": "ray", "learner__devices": 2}
    flow = flow_of(workers=1, waiting=12, **tree)  # a batch of 8, and 4 more
    flow._dispatch()
    first, second = flow.learners.actors
    assert first.asked == [("update", (0, [(0, 4)], True, "rollout0"))]  # it publishes the weights
    assert second.asked == [("update", (0, [(0, 4)], False, "rollout1"))]
    (update,) = flow._updates
    assert len(update.pending) == 2
    assert flow.batcher.waiting == 4


@pytest.mark.parametrize(
    ("workers", "published"),
    [(1, [True] * 6), (31, [True] * 6), (48, [False, False, True, False, False, True])],
)
def test_a_round_of_many_workers_publishes_a_few_weights_only(workers, published):
    # 4 environments each and batches of 8: half as many updates in a round as there are workers
    flow = flow_of(workers, waiting=48)
    updates = [flow._ask_for_update() for _ in published]
    assert [update.weights is not None for update in updates] == published
    asked = [arguments for _, arguments in flow.learners.actors[0].asked]
    assert [publish for _, _, publish, *_ in asked] == published
    assert [number for number, *_ in asked] == [*range(6)]


def test_workers_go_on_with_the_last_weights_that_were_published(monkeypatch):
    flow = flow_of(workers=48, waiting=24)
    monkeypatch.setattr(ray, "wait", lambda refs, num_returns: (refs[-1:], refs[:-1]))
    monkeypatch.setattr(ray, "get", lambda _: LearnerReport(0, 0, {}))
    for _ in range(2):
        flow.update()
        assert flow.weights == "weights of a finished update"
    (third,) = flow._updates
    flow.update()
    assert third.weights is not None
    assert flow.weights == third.weights
