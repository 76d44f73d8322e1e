"""What the terminal shows."""

from io import StringIO

import pytest
from rich.console import Console

from envs import EnvsConfig
from launch.run import display as progress
from launch.run.display import LiveDisplay, PlainDisplay, make_display
from launch.run.policy import policy_view

VIEW = policy_view(EnvsConfig(tasks=("bigfish", "maze")), False, [])

ROW = {
    "frames": 12_000,
    "throughput/total": 1500.0,
    "episodes/bigfish": 1234,
    "return/bigfish": 1.25,
    "return_normalised/bigfish": 0.0125,
    "held_out/bigfish": 0.75,
    "length/bigfish": 321.0,
    "episodes/maze": 0,
}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def plain(total=102_000, done=0):
    """Return a display that is no terminal, and where it writes."""
    file = StringIO()
    display = make_display(Console(file=file, width=40), VIEW, total, done)
    assert isinstance(display, PlainDisplay)
    return display, file


def test_plain_lines_tell_frames_speed_time_left_and_returns(clock):
    display, file = plain()
    with display:
        display.show(ROW)
    line = "12,000 / 102,000 frames  1,500 frames/s  1.0 min left  "
    line += "return: bigfish 1.25 (held out 0.75)  maze -\n"
    assert file.getvalue() == line  # one line, though wider than the terminal


def test_plain_lines_keep_their_distance_but_never_miss_the_last(clock):
    display, file = plain(total=15_000)
    with display:
        display.show(ROW)
        clock[0] += progress.PLAIN_EVERY / 2
        display.show({**ROW, "frames": 13_000})
        clock[0] += progress.PLAIN_EVERY / 2
        display.show({**ROW, "frames": 14_000})
        display.show({**ROW, "frames": 15_000})
    shown = [line.split()[0] for line in file.getvalue().splitlines()]
    assert shown == ["12,000", "14,000", "15,000"]


def test_a_row_without_any_speed_is_shown(clock):
    display, file = plain()
    with display:
        display.show({**ROW, "throughput/total": 0.0})
    assert "inf min left" in file.getvalue()


def test_a_terminal_shows_a_bar_and_all_games():
    file = StringIO()
    console = Console(force_terminal=True, file=file, width=100)
    display = make_display(console, VIEW, 48_000, 0)
    assert isinstance(display, LiveDisplay)
    with display:
        display.show(ROW)
    text = file.getvalue()
    for word in ("12,000 / 48,000 frames", "25 %", "1,500 frames/s", "normalised"):
        assert word in text
    lines = text.splitlines()
    (bigfish,) = [line for line in lines if "bigfish" in line]
    assert bigfish.split() == ["bigfish", "1.25", "0.01", "0.75", "321.00", "1,234"]
    (maze,) = [line for line in lines if "maze" in line]
    assert maze.split() == ["maze", "-", "-", "-", "-", "0"]
