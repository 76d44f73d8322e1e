"""Learning rates by hand, and across a resume."""

import math

import pytest

from learners.schedule import Schedule

RATE, TOTAL = 0.1, 1000


def resumed(old, new, frames):
    new.load(old.state(), frames)
    return new


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", {0: 0.1, 250: 0.075, 900: 0.01, 1000: 0, 1200: 0}),
        ("constant", {0: 0.1, 250: 0.1, 1000: 0.1, 1200: 0.1}),
        ("cosine", {0: 0.1, 250: 0.05 * (1 + math.sqrt(0.5)), 500: 0.05, 1000: 0, 1200: 0}),
    ],
)
def test_rates_by_hand(name, expected):
    schedule = Schedule(name, RATE, TOTAL)
    for frames, rate in expected.items():
        assert schedule.rate(frames) == pytest.approx(rate, abs=1e-15)


@pytest.mark.parametrize("name", ["linear", "constant", "cosine"])
def test_a_resumed_run_with_the_same_settings_goes_on_exactly(name):
    whole = Schedule(name, RATE, TOTAL)
    other = resumed(whole, Schedule(name, RATE, TOTAL), 300)
    assert [other.rate(f) for f in range(300, 1100, 7)] == [
        whole.rate(f) for f in range(300, 1100, 7)
    ]


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_more_frames_do_not_make_the_rate_jump(name):
    """It goes on from where it was, and falls to 0 at the new end; so it does a second time."""
    old = Schedule(name, RATE, TOTAL)
    longer = resumed(old, Schedule(name, RATE, 2000), 600)
    assert longer.rate(600) == old.rate(600)
    assert longer.rate(2000) == pytest.approx(0, abs=1e-15)
    halfway = longer.rate(1300)
    assert halfway == pytest.approx(old.rate(600) / 2)  # of the 1400 frames that are left
    again = resumed(longer, Schedule(name, RATE, 3000), 1300)
    assert again.rate(1300) == pytest.approx(halfway)
    # And a resume of that one, unchanged.
    assert resumed(again, Schedule(name, RATE, 3000), 1400).rate(2000) == again.rate(2000)


def test_another_shape_goes_on_from_the_same_rate():
    old = Schedule("linear", RATE, TOTAL)
    assert resumed(old, Schedule("constant", RATE, TOTAL), 400).rate(5000) == pytest.approx(0.06)


def test_a_finished_run_gets_the_rate_of_its_new_length():
    old = Schedule("linear", RATE, TOTAL)
    assert resumed(old, Schedule("linear", RATE, 4000), 1000).rate(1000) == pytest.approx(0.075)


def test_a_rate_given_anew_is_the_rate_from_there_on():
    old = Schedule("linear", RATE, TOTAL)
    new = resumed(old, Schedule("linear", 0.5, TOTAL), 600)
    assert new.rate(600) == 0.5
    assert new.rate(800) == pytest.approx(0.25)
