"""Recovery and versions, from rows as a run writes them."""

import json

import pytest

from launch.chaos.history import Event, Sample, fallen_versions, last_row, rates, recovery


def sample(time, frames, updates=None, life=1, **faults):
    counters = {f"faults/{name}": number for name, number in faults.items()}
    return Sample(time, life, frames, frames if updates is None else updates, counters)


def test_a_worker_is_replaced_once_the_run_has_noticed():
    samples = [sample(1, 10), sample(2, 20), sample(3, 30), sample(4, 40, worker_restarts=1)]
    event = Event(1.5, "worker killed", "", life=1, victim=7, gone=1.6)
    assert recovery(event, samples) == 2.5


def test_a_hung_environment_is_not_taken_for_another_fault():
    samples = [sample(1, 10), sample(2, 20, worker_restarts=1), sample(9, 90, worker_restarts=2)]
    event = Event(1.5, "environment hangs", "", life=1, victim=7, gone=8.0)
    assert recovery(event, samples) == 7.5
    event.gone = None
    assert recovery(event, samples) is None


def test_a_learner_goes_on_from_an_older_state():
    samples = [sample(1, 50, 50), sample(2, 60, 60), sample(5, 20, 20)]  # then rows are set aside
    event = Event(1.5, "learner killed", "", life=1)
    assert recovery(event, samples) is None
    samples.append(sample(6, 30, 71, learner_restarts=1))
    assert recovery(event, samples) == 4.5
    assert fallen_versions(samples) == ""


def test_a_driver_is_back_with_new_frames_only():
    samples = [sample(1, 50), sample(2, 60), sample(5, 20, life=2), sample(9, 30, life=2)]
    assert recovery(Event(1.5, "driver killed", "", life=1), samples) == 7.5
    assert recovery(Event(1.5, "node lost", "", life=1), samples) == 0.5


def test_the_counters_of_another_driver_begin_at_zero():
    samples = [
        *(sample(1, 50, worker_restarts=9), sample(2, 60, worker_restarts=9)),
        sample(5, 50, life=2, worker_restarts=9),  # the row at which it goes on
        *(sample(6, 55, life=2), sample(8, 60, life=2, worker_restarts=1)),
    ]
    assert recovery(Event(5.5, "environment raises", "", life=2), samples) == 2.5


@pytest.mark.parametrize("updates", [60, 55])
def test_a_version_that_comes_again_is_found(updates):
    samples = [sample(1, 50), sample(2, 60), sample(3, 20), sample(4, 30, updates)]
    assert "follows 60" in fallen_versions(samples)
    # Another driver starts other workers.
    assert fallen_versions([*samples[:3], samples[3]._replace(life=2)]) == ""


def test_frames_that_are_learnt_again_are_work_too():
    samples = [sample(0.5, 100), sample(1.5, 300), sample(2.5, 200), sample(3.5, 250)]
    assert rates(samples, width=2.0) == ([1.0, 3.0], [100.0, 25.0])


def test_a_row_that_is_being_written_is_not_read(tmp_path):
    file = tmp_path / "metrics.jsonl"
    assert last_row(file) is None
    file.write_text(json.dumps({"frames": 1}) + "\n" + '{"frames": 2')
    assert last_row(file) == {"frames": 1}
