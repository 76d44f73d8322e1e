"""The wall clock is set while a run goes on, as by NTP or a suspended laptop."""

import itertools
import time

from envs.watchdog import Watchdog
from tests.launch.runs import TMAZE, rows, train, without_clock

DAYS = 10 * 24 * 3600.0


def jump(monkeypatch):
    """Let each look at the wall clock be days after the last one."""
    real, looks = time.time, itertools.count()
    monkeypatch.setattr(time, "time", lambda: real() + next(looks) * DAYS)


def test_rates_and_times_of_a_run_do_not_follow_the_wall_clock(
    monkeypatch, tmp_path, trained_tmaze
):
    jump(monkeypatch)
    before = time.monotonic()
    run = train(tmp_path, TMAZE, "jumps")
    took = time.monotonic() - before
    table = rows(run)
    assert without_clock(table) == without_clock(rows(trained_tmaze))
    for row in table:
        times = {name: x for name, x in row.items() if name.startswith(("time/", "throughput/"))}
        assert times.keys() >= {"time/elapsed", "throughput/total"}
        assert all(x > 0 for x in times.values()), times
        assert row["time/elapsed"] <= took
        # A row is of 40 frames at most; over ten days it would be a rate of nothing.
        assert row["throughput/total"] > 1 / took


def test_no_call_is_late_because_the_wall_clock_was_set(monkeypatch, caplog):
    jump(monkeypatch)
    with Watchdog(patience=2.0).watch("a call"):
        time.sleep(0.8)  # it looks every half second
    assert "has not returned" not in caplog.text
