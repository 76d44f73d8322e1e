"""How the pool of workers decides. Its actors only note what they are asked."""

from collections import Counter

import pytest

from launch.cluster.faults import LostInputError
from launch.cluster.pool import WorkerPool
from launch.errors import RunError
from tests.launch.cluster.fakes import Clock, FakeCluster, died, info, lost, no_ray, raised

pytestmark = pytest.mark.usefixtures(no_ray.__name__)

# Two workers of "maze" and one that alone plays "heist".
TASKS = {0: ["maze"], 1: ["maze", "maze"], 2: ["heist"], 3: ["maze"]}


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def clock():
    return Clock()


def make_pool(cluster, clock, **options):
    pool = WorkerPool(cluster.worker, TASKS.get, 3, Counter(), clock=clock, **options)
    place(pool)
    return pool


def place(pool):
    """Let every worker that was started have its place."""
    for ref in [ref for ref, request in pool.requests.items() if request.rollout is None]:
        assert pool.collect(ref) is None


def ask(pool):
    """Ask the idle worker; return its index and the reference that it answers by."""
    pool.ask("weights")
    ref = [*pool.requests][-1]
    return pool.requests[ref].worker, ref


def answer(pool, ref, value):
    ref.set(value)
    return pool.collect(ref)


def fail(pool, error, worker, times=1):
    """Let a worker fail, and whoever is asked before it answer."""
    while times:
        index, ref = ask(pool)
        if index == worker:
            times -= 1
            assert answer(pool, ref, error) is None
            place(pool)
        else:
            assert answer(pool, ref, info())


def test_workers_are_asked_in_turn_once_they_have_a_place(cluster, clock):
    pool = WorkerPool(cluster.worker, TASKS.get, 2, Counter(), clock=clock)
    assert not pool.idle
    assert pool.unplaced == [0, 1]
    place(pool)
    assert (pool.idle, pool.unplaced) == (True, [])
    (first, ref), (second, _) = ask(pool), ask(pool)
    assert ((first, second), pool.idle) == ((0, 1), False)
    rollout, arrived = answer(pool, ref, info(7))
    assert (rollout.name[:7], arrived.num_envs, pool.idle) == ("rollout", 7, True)


@pytest.mark.parametrize("error", [died(), raised(ValueError("simulator is gone"))])
def test_a_worker_that_dies_or_raises_is_replaced_with_another_number(
    error, cluster, clock, caplog
):
    pool = make_pool(cluster, clock, first_restart=40)
    fail(pool, error, worker=1)
    assert [(index, restart) for index, restart, _ in cluster.workers] == [
        (0, 41),
        (1, 42),
        (2, 43),
        (1, 44),
    ]
    assert [actor.killed for *_, actor in cluster.workers] == [False, True, False, False]
    assert pool.workers[1].actor is cluster.workers[-1][2]
    assert pool._faults == {"worker_restarts": 1}
    assert "worker 1 (maze)" in caplog.text
    why = (
        "ValueError: simulator is gone"
        if isinstance(error, ValueError)
        else ("its process died (Worker exits with a connection error code 2)")
    )
    assert caplog.records[-1].message.endswith(why)


def test_three_failures_in_a_row_retire_a_worker_whose_tasks_have_others(cluster, clock, caplog):
    pool = make_pool(cluster, clock)
    fail(pool, died(), worker=0, times=2)
    for _ in range(3):  # each of them, in turn
        assert answer(pool, ask(pool)[1], info())
    fail(pool, died(), worker=0, times=2)
    assert 0 in pool.workers
    fail(pool, raised(ValueError("no level 7")), worker=0)
    assert [*pool.workers] == [1, 2]
    assert pool._faults == {"worker_restarts": 4, "workers_retired": 1}
    assert "Traceback: where it was" in caplog.text
    assert "no level 7" in caplog.text
    assert [ask(pool)[0] for _ in range(2)] in ([1, 2], [2, 1])
    assert not pool.idle


def test_a_task_without_a_worker_ends_the_run_and_is_named(cluster, clock):
    pool = make_pool(cluster, clock)
    with pytest.raises(RunError, match=r"heist.*3 times.*ValueError: no level 7"):
        fail(pool, raised(ValueError("no level 7")), worker=2, times=3)


def test_lost_weights_are_not_the_fault_of_the_worker(cluster, clock):
    pool = make_pool(cluster, clock)
    for _ in range(4):
        _, ref = ask(pool)
        with pytest.raises(LostInputError):
            answer(pool, ref, lost())
    assert len(cluster.workers) == 3
    assert pool._faults == {"rollouts_lost": 4}


def test_a_first_rollout_may_take_longer_than_a_later_one(cluster, clock):
    pool = make_pool(cluster, clock)
    slow = {index: ref for index, ref in (ask(pool) for _ in range(3))}
    clock.now = 299
    pool.replace_overdue()
    assert len(cluster.workers) == 3
    for ref in slow.values():
        answer(pool, ref, info())
    ask(pool)
    clock.now += 29
    pool.replace_overdue()
    assert len(cluster.workers) == 3
    clock.now += 2
    pool.replace_overdue()
    assert [index for index, *_ in cluster.workers] == [0, 1, 2, 0]
    assert cluster.workers[0][2].killed
    place(pool)
    assert [ask(pool)[0] for _ in range(3)] == [1, 2, 0]


def test_the_time_that_a_rollout_may_take_follows_the_slowest(cluster, clock):
    pool = make_pool(cluster, clock)
    for seconds in (200, 5, 1):  # the first one builds the environments: it does not count
        refs = [ask(pool)[1] for _ in range(3)]
        clock.now += seconds
        for ref in refs:
            answer(pool, ref, info())
    ask(pool)
    clock.now += 99
    pool.replace_overdue()
    assert len(cluster.workers) == 3
    clock.now += 2
    pool.replace_overdue()
    assert len(cluster.workers) == 4


def test_a_timeout_that_is_given_counts_from_the_first_rollout_on(cluster, clock):
    pool = make_pool(cluster, clock, timeout=4.0)
    _, late = ask(pool)
    clock.now = 2
    ask(pool)
    clock.now = 5
    pool.replace_overdue()
    assert [index for index, *_ in cluster.workers] == [0, 1, 2, 0]
    assert late not in pool.requests


def test_an_answer_that_is_there_is_not_late(cluster, clock):
    pool = make_pool(cluster, clock)
    _, ref = ask(pool)
    ref.set(info())
    clock.now = 10_000  # the driver was stopped meanwhile
    pool.replace_overdue()
    assert len(cluster.workers) == 3
    assert pool.collect(ref)


def test_a_worker_that_waits_for_a_free_cpu_is_not_late(cluster, clock):
    pool = WorkerPool(cluster.worker, TASKS.get, 2, Counter(), timeout=1.0, clock=clock)
    clock.now = 10_000
    pool.replace_overdue()
    assert len(cluster.workers) == 2
    assert "workers 0, 1 start or wait for a free CPU" in pool.describe()


def test_the_pool_grows_by_workers_of_the_next_indices(cluster, clock):
    pool = make_pool(cluster, clock)
    fail(pool, died(), worker=0, times=3)
    pool.grow(1)
    assert [*pool.workers] == [1, 2, 3]
    assert pool.workers[3].tasks == ("maze",)


def test_it_says_who_has_been_busy_longest(cluster, clock):
    pool = make_pool(cluster, clock)
    for _ in range(2):
        ask(pool)
        clock.now += 20
    words = pool.describe()
    assert "worker 0 (maze) on 10.0.0.1 has worked on a rollout for 40 s" in words
    assert "1 other" in words
    assert "1 workers are idle" in words
