from collections import Counter
from itertools import pairwise

import pytest

from launch.chaos.schedule import KINDS, fault_counts, make_schedule

COUNTS = fault_counts(20)


def test_a_seed_decides_the_schedule():
    assert make_schedule(1, 1200, COUNTS) == make_schedule(1, 1200, COUNTS)
    assert make_schedule(1, 1200, COUNTS) != make_schedule(2, 1200, COUNTS)


def test_twenty_minutes_have_the_faults_that_are_asked_for():
    faults = make_schedule(0, 1200, COUNTS)
    assert Counter(fault.kind for fault in faults) == {
        "worker killed": 100,
        "learner killed": 5,
        "driver killed": 3,
        "node lost": 10,
        "node joins": 10,
        "environment raises": 10,
        "environment hangs": 3,
    }
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(0 <= fault.at < 1200 and 0 <= fault.draw < 1 for fault in faults)
    # They are spread: one in each of a hundred parts of the time.
    parts = {int(fault.at / 12) for fault in faults if fault.kind == "worker killed"}
    assert len(parts) == 100


@pytest.mark.parametrize(("minutes", "workers", "hangs"), [(0.5, 3, 1), (1, 5, 1), (40, 200, 6)])
def test_the_number_of_faults_follows_from_the_minutes(minutes, workers, hangs):
    counts = fault_counts(minutes)
    assert (counts["worker killed"], counts["environment hangs"]) == (workers, hangs)
    assert set(counts) == set(KINDS)


def test_environments_can_be_left_out():
    assert set(KINDS) - set(fault_counts(1, environments=False)) == {
        "environment raises",
        "environment hangs",
    }


@pytest.mark.parametrize("seed", range(20))
def test_a_node_joins_after_each_that_is_lost(seed):
    nodes = [f for f in make_schedule(seed, 60, COUNTS) if f.kind.startswith("node")]
    assert [f.kind for f in nodes] == ["node lost", "node joins"] * 10
    assert all(before.at < after.at for before, after in pairwise(nodes))
