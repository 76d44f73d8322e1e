"""How learners are supervised, and what a flow does then. Actors only note what they are asked."""

from collections import Counter

import pytest

from launch.cluster.flow import RayFlow
from launch.cluster.learners import LearnerFailedError, LearnerGroup
from launch.config.source import parse_config
from launch.errors import RunError
from launch.flow.base import FlowState, KeptState, LearnerReport
from learners import NonfiniteUpdate, TrainingDivergedError
from tests.launch.cluster.fakes import Actor, Clock, FakeCluster, died, info, lost, no_ray, raised
from tests.launch.runs import TMAZE, changed

pytestmark = pytest.mark.usefixtures(no_ray.__name__)

BATCH = 4 * 5  # frames
AT = {"frames": 400, "version": 20}


@pytest.fixture
def clock():
    return Clock()


def make_flow(clock, cluster=None, saved=None, **changes):
    tree = changed(
        TMAZE, total_frames=10_000, launch__mode="ray", launch__envs_per_worker=4, **changes
    )
    cluster = cluster or FakeCluster()
    flow = RayFlow(parse_config(tree, [], "test"), saved, cluster, clock)
    for ref in [*flow.pool.requests]:
        flow.pool.collect(ref)
    return flow, cluster


def rollouts(flow, number):
    """Let so many rollouts of a batch each arrive, and dispatch them."""
    for _ in range(number):
        flow._dispatch()
        ref = next(ref for ref, request in flow.pool.requests.items() if request.rollout)
        ref.set(info(4))
        flow._collect(ref)
    flow._dispatch()


def learn(flow, frames, version, state=None):
    """Let the oldest update in flight be done."""
    report, _, kept = (
        refs for refs in flow.learners.actors[0].refs("update") if refs[0] in flow.learners.pending
    ).__next__()
    report.set(LearnerReport(frames, version, {}))
    if state:
        kept.set(KeptState(state, 0.0))
    return flow.update()


def test_the_newest_state_is_kept_every_half_minute_and_comes_with_its_update(clock):
    flow, _ = make_flow(clock)
    assert flow.newest() == FlowState({"frames": 0, "version": 0})
    clock.now = 29
    rollouts(flow, 1)
    learn(flow, 20, 1)
    assert flow.newest().frames == 0
    clock.now = 31
    rollouts(flow, 1)
    (*_, (_, arguments, refs)) = flow.learners.actors[0].asked
    assert arguments[3] is True  # keep
    rollouts(flow, 1)
    (*_, (_, arguments, _)) = flow.learners.actors[0].asked
    assert arguments[3] is False
    refs[0].set(LearnerReport(40, 2, {}))
    state = {"frames": 40, "version": 2, "agent": [1.0]}
    refs[2].set(KeptState(state, seconds=0.0))
    assert flow.update().frames == 40
    assert flow.newest() == FlowState(state)
    assert flow.newest().learner["agent"] is not state["agent"]


def test_a_state_that_takes_long_to_copy_is_kept_less_often(clock):
    flow, _ = make_flow(clock)
    clock.now = 31
    rollouts(flow, 1)
    report, _, kept = flow.learners.actors[0].refs("update")[-1]
    report.set(LearnerReport(20, 1, {}))
    kept.set(KeptState({"frames": 20, "version": 1}, seconds=2.0))
    flow.update()
    due = []
    for clock.now in (31 + 199, 31 + 201):
        rollouts(flow, 1)
        due.append(flow.learners.actors[0].asked[-1][1][3])
    assert due == [False, True]


def test_a_learner_that_dies_is_restarted_from_the_newest_state(clock, caplog):
    flow, cluster = make_flow(clock, saved=FlowState(AT), cluster=FakeCluster(state=AT))
    rollouts(flow, 1)
    assert learn(flow, 420, 21).frames == 420
    rollouts(flow, 2)
    cluster.learner_answers["state"] = {"frames": 400, "version": 22}
    for ref in flow.learners.pending:
        ref.set(died())
    assert flow._learnt(flow.learners.pending[0]) is None
    old, new = cluster.learners
    assert old.killed
    assert not new.killed
    ((_, (place, state), _),) = [call for call in new.asked if call[0] == "start"]
    # No version that was published stands for other weights, and the frames are the state's own.
    assert (place, state) == (None, {"frames": 400, "version": 22})
    assert flow.faults == {"learner_restarts": 1, "rollouts_lost": 2}
    assert (flow.batcher.waiting, len(flow.learners.updates)) == (0, 0)
    rollouts(flow, 1)
    assert [call[1][0] for call in new.asked if call[0] == "update"] == [0]
    report = learn(flow, 420, 23)
    assert (report.frames, report.version) == (420, 23)
    assert report.faults == {"learner_restarts": 1, "rollouts_lost": 2}
    assert "the learner died or failed and is restarted" in caplog.text


def test_learners_that_fail_again_and_again_end_the_run(clock):
    flow, cluster = make_flow(clock, launch__max_learner_restarts=2)
    for _ in range(2):
        rollouts(flow, 1)
        for ref in flow.learners.pending:
            ref.set(raised(ValueError("shapes")))
        flow._learnt(flow.learners.pending[0])
    assert len(cluster.learners) == 3
    rollouts(flow, 1)
    flow.learners.pending[0].set(raised(ValueError("shapes")))
    with pytest.raises(RunError, match="3 times: ValueError: shapes"):
        flow.update()


def test_a_newer_state_forgives_the_restarts_before_it(clock):
    flow, cluster = make_flow(clock, launch__max_learner_restarts=1)
    for life in range(3):
        rollouts(flow, 1)
        flow.learners.pending[0].set(died())
        flow._learnt(flow.learners.pending[0])
        clock.now += 31
        rollouts(flow, 1)
        learn(flow, 20, life, {"frames": 20, "version": life})
    assert len(cluster.learners) == 4


def test_lost_rollouts_are_skipped_by_a_learner_that_is_well(clock):
    flow, cluster = make_flow(clock)
    rollouts(flow, 2)
    first, second = flow.learners.updates
    first.pending[0].set(lost())
    assert flow._learnt(first.pending[0]) is None
    (learner,) = cluster.learners
    assert learner.asked[-1][:2] == ("skip", (0,))
    assert flow.faults == {"rollouts_lost": 1}
    assert [*flow.learners.updates] == [second]
    assert learn(flow, 20, 1).frames == 20


def test_a_group_that_loses_rollouts_restarts_together(clock):
    flow, cluster = make_flow(clock, learner__devices=2)
    for learner in cluster.learners:
        learner.answers["meeting_place"] = ("host", 1)
    rollouts(flow, 2)
    update = flow.learners.updates[0]
    assert len(update.pending) == 2
    update.pending[1].set(lost())
    assert flow._learnt(update.pending[1]) is None
    assert [learner.killed for learner in cluster.learners] == [True, True, False, False]


def test_lost_weights_are_asked_for_again(clock):
    flow, cluster = make_flow(clock)
    flow._dispatch()
    ref = next(iter(flow.pool.requests))
    ref.set(lost())
    before = flow.weights
    flow._collect(ref)
    assert flow.weights is not before
    assert flow.weights.value == "weights"
    cluster.learner_answers["weights"] = "weights of the next one"
    cluster.learners[0].answers["weights"] = died()
    ref = next(iter(flow.pool.requests))
    ref.set(lost())
    flow._collect(ref)
    assert (len(cluster.learners), flow.weights.value) == (2, "weights of the next one")


def test_a_learner_that_hangs_is_restarted(clock):
    flow, cluster = make_flow(clock)
    rollouts(flow, 1)
    clock.now = 599
    flow._check()
    assert len(cluster.learners) == 1
    clock.now = 602
    flow._check()
    assert len(cluster.learners) == 2


def test_training_that_diverges_is_no_fault_of_the_learner(clock):
    flow, cluster = make_flow(clock)
    rollouts(flow, 1)
    flow.learners.pending[0].set(raised(TrainingDivergedError("not finite")))
    with pytest.raises(TrainingDivergedError, match=r"^not finite$"):
        flow.update()
    assert len(cluster.learners) == 1


def test_the_update_for_which_training_is_given_up_comes_from_every_learner(clock):
    flow, cluster = make_flow(clock, learner__devices=2, learner__batch_size=4)
    for learner, share in zip(cluster.learners, ("left", "right"), strict=True):
        learner.answers["nonfinite"] = NonfiniteUpdate({"version": 3}, {"reward": share})
    assert [update.batch["reward"] for update in flow.nonfinite()] == ["left", "right"]
    cluster.learners[1].answers["nonfinite"] = died()
    assert flow.nonfinite() == []


def test_saving_while_the_learner_dies_returns_the_newest_state(clock):
    flow, cluster = make_flow(clock, cluster=FakeCluster(state=AT), saved=FlowState(AT))
    cluster.learners[0].answers["state"] = died()
    assert flow.save() == FlowState(AT)
    assert len(cluster.learners) == 2


def test_learners_that_cannot_start_are_tried_again(clock):
    cluster = FakeCluster(start=died())
    with pytest.raises(RunError, match="3 times"):
        make_flow(clock, cluster, launch__max_learner_restarts=2)
    assert [learner.killed for learner in cluster.learners] == [True] * 3


def test_waiting_for_the_start_looks_at_the_clock(monkeypatch):
    looked = []
    actor = FakeCluster().learner(0)
    del actor.answers["start"]

    def look():
        looked.append(True)
        actor.refs("start")[0][0].set(died())

    group = LearnerGroup(lambda _: actor, 1, None, Counter(), 1, while_waiting=look)
    with pytest.raises(LearnerFailedError):
        group.wait_for_start()
    assert looked == [True]


def test_a_run_grows_into_free_cpus_while_the_learner_waits(clock):
    flow, cluster = make_flow(
        clock, cluster=FakeCluster(free=3), launch__max_workers=4, launch__worker_timeout=1e3
    )
    flow._check()
    assert len(flow.pool.workers) == 3  # by half
    clock.now = 11
    flow._check()
    assert len(flow.pool.workers) == 3  # the last one has no place yet
    for ref in [ref for ref, request in flow.pool.requests.items() if not request.rollout]:
        flow.pool.collect(ref)
    rollouts(flow, 1)
    clock.now = 22
    flow._check()
    assert len(flow.pool.workers) == 3  # the learner is busy
    learn(flow, BATCH, 1)
    for clock.now in (33, 44):
        flow._check()
    assert len(flow.pool.workers) == 4
    assert len(cluster.workers) == 4


def test_a_run_that_stands_still_says_what_it_waits_for(clock, caplog):
    flow, _ = make_flow(clock)
    flow._dispatch()
    for clock.now in (29, 31, 60, 89, 92):
        flow._check()
    said = [record.message for record in caplog.records if "no update for" in record.message]
    assert [message[:19] for message in said] == ["no update for 31 s:", "no update for 92 s:"]
    for words in ("the learner waits for rollouts", "worker 0 (memory/TMaze-8)", "nodes alive"):
        assert words in said[0]


def test_one_of_a_group_that_cannot_start_is_seen_though_the_other_waits_for_it():
    actors = [Actor(meeting_place=None), Actor(meeting_place=None, start=died())]
    group = LearnerGroup(actors.__getitem__, 2, None, Counter(), 1)
    with pytest.raises(LearnerFailedError, match="its process died"):
        group.wait_for_start()


def test_what_ends_the_run_leaves_the_state_of_now(clock, monkeypatch):
    flow, cluster = make_flow(clock)
    rollouts(flow, 1)
    learn(flow, 20, 1)
    cluster.learners[0].answers["state"] = {"frames": 20, "version": 1}

    def retire():
        raise RunError("no worker is left")

    monkeypatch.setattr(flow.pool, "replace_overdue", retire)
    clock.now = 2
    with pytest.raises(RunError, match="no worker is left"):
        flow.update()
    assert flow.newest() == FlowState({"frames": 20, "version": 1})
