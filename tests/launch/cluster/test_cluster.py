"""What the driver of a Ray run hands out. Its actors here only note what they are asked."""

import pytest

from launch.cluster.flow import RayFlow
from launch.config.source import parse_config
from launch.flow.base import LearnerReport
from tests.launch.cluster.fakes import FakeCluster, info, no_ray
from tests.launch.runs import TMAZE, changed

pytestmark = pytest.mark.usefixtures(no_ray.__name__)


def flow_of(workers, waiting, **changes):
    tree = changed(
        TMAZE, launch__workers=workers, launch__envs_per_worker=4, learner__batch_size=8, **changes
    )
    flow = RayFlow(parse_config(tree, [], "test"), cluster=FakeCluster())
    for number in range(waiting // 4):
        flow.batcher.add(f"rollout{number}", 4)
    for done in [*flow.pool.requests]:
        assert flow.pool.collect(done) is None  # it has a place
    flow.weights = "weights of a finished update"
    for actor in (*actors(flow), *flow.learners.actors):
        actor.asked.clear()  # what starts it
    return flow


def actors(flow):
    return [worker.actor for worker in flow.pool.workers.values()]


def asked(actor):
    return [(method, arguments) for method, arguments, _ in actor.asked]


def test_every_idle_worker_acts_with_finished_weights():
    flow = flow_of(workers=16, waiting=0)
    flow._dispatch()
    assert [asked(actor) for actor in actors(flow)] == [[("rollout", (flow.weights,))]] * 16


def test_workers_pause_while_enough_waits():
    # Two batches go to the learner, and two more wait: that is the queue's length.
    flow = flow_of(workers=3, waiting=32, launch__queue_batches=2)
    flow._dispatch()
    assert len(flow.learners.updates) == 2
    assert flow.batcher.waiting == 16
    assert [asked(actor) for actor in actors(flow)] == [[]] * 3


def test_the_last_update_is_asked_for_even_if_it_goes_beyond_the_frames():
    flow = flow_of(workers=2, waiting=16, total_frames=41)  # updates are of 40 frames
    flow._dispatch()
    assert [method for method, _ in asked(flow.learners.actors[0])] == ["update", "update"]
    flow = flow_of(workers=2, waiting=16, total_frames=40)
    flow._dispatch()
    assert [method for method, _ in asked(flow.learners.actors[0])] == ["update"]


def test_learners_share_a_batch():
    tree = {"launch__mode": "ray", "learner__devices": 2}
    flow = flow_of(workers=1, waiting=12, **tree)  # a batch of 8, and 4 more
    flow._dispatch()
    first, second = flow.learners.actors
    assert asked(first) == [
        ("update", (0, [(0, 4)], True, False, "rollout0"))
    ]  # it publishes the weights
    assert asked(second) == [("update", (0, [(0, 4)], False, False, "rollout1"))]
    (update,) = flow.learners.updates
    assert len(update.pending) == 2
    assert flow.batcher.waiting == 4


@pytest.mark.parametrize(
    ("workers", "published"),
    [(1, [True] * 6), (31, [True] * 6), (48, [False, False, True, False, False, True])],
)
def test_a_round_of_many_workers_publishes_a_few_weights_only(workers, published):
    # 4 environments each and batches of 8: half as many updates in a round as there are workers
    flow = flow_of(workers, waiting=48)
    for _ in published:
        flow._ask_for_update()
    assert [update.weights is not None for update in flow.learners.updates] == published
    arguments = [arguments for _, arguments in asked(flow.learners.actors[0])]
    assert [publish for _, _, publish, *_ in arguments] == published
    assert [number for number, *_ in arguments] == [*range(6)]


def test_workers_go_on_with_the_last_weights_that_were_published():
    flow = flow_of(workers=48, waiting=24)
    (learner,) = flow.learners.actors
    for number in range(2):
        flow._dispatch()
        report, weights, _ = learner.refs("update")[number]
        report.set(LearnerReport(40 * number, number, {}))
        flow.update()
        assert flow.weights == "weights of a finished update"
    flow._dispatch()
    report, weights, _ = learner.refs("update")[2]
    report.set(LearnerReport(120, 3, {}))
    flow.update()
    assert flow.weights == weights


def test_a_learner_ten_times_slower_than_its_workers_bounds_what_waits():
    """Every worker answers at once, the learner only after ten such rounds."""
    workers, queue, batch = 6, 2, 8
    flow = flow_of(workers, waiting=0, launch__queue_batches=queue, total_frames=10**6)
    (learner,) = flow.learners.actors
    learnt, most, paused = 0, 0, 0
    for round_ in range(200):
        flow._dispatch()
        asked = [ref for ref, request in flow.pool.requests.items() if request.rollout]
        paused += not asked
        for ref in asked:
            ref.set(info(4))
            flow._collect(ref)
        most = max(most, flow.batcher.waiting)
        if round_ % 10 == 9:
            learner.refs("update")[learnt][0].set(LearnerReport(40 * (learnt + 1), learnt, {}))
            learnt += 1
            assert flow.update().frames == 40 * learnt
    assert learnt == 20
    # What may wait, and one rollout that each worker had begun when that was reached.
    assert queue * batch <= most <= queue * batch + workers * 4
    assert paused > 100  # most of the rounds
    rollouts = sum(len(actor.refs("rollout")) for actor in actors(flow))
    assert rollouts * 4 <= learnt * batch + 2 * batch + most
