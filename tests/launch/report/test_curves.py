"""Learning curves of groups of runs, and run folders beside an untrained policy."""

import json
import sys

import numpy as np

from launch.report import curves
from launch.report.curves import Curve, Panel, common_axis, draw, last_returns, smoothed


def test_runs_of_one_group_are_brought_to_the_same_frames():
    """Interpolated in between; one that ended early keeps its last value."""
    x, runs = common_axis([Curve([0, 10], [0.0, 1.0]), Curve([5, 20], [0.5, 2.0])])
    assert (x[0], x[-1]) == (5, 20)
    np.testing.assert_allclose(runs[0], np.minimum(x / 10, 1))
    np.testing.assert_allclose(runs[1], x / 10)


def test_a_label_has_one_colour_in_all_charts():
    curve = [Curve([0, 1], [0.0, 1.0])]
    figure = draw(
        [Panel("one", {"a": curve, "b": curve}), Panel("two", {"b": curve})], "frames", "return"
    )
    one, two = figure.axes
    assert one.lines[1].get_color() == two.lines[0].get_color() != one.lines[0].get_color()


def rows(*episodes_and_returns):
    return [
        {"frames": 10 * number, "episodes/maze": episodes, "return/maze": mean}
        for number, (episodes, mean) in enumerate(episodes_and_returns, 1)
    ]


def test_last_returns_have_no_episode_in_common():
    run = rows((100, 1), (150, 2), (210, 3), (310, 4), (400, 5))
    assert last_returns(run, "maze", window=np.inf).tolist() == [1, 3, 4]
    assert last_returns(run, "maze", window=30).tolist() == [3, 4]  # frames 30, 40 and 50


def test_a_smooth_curve_is_the_mean_on_both_sides():
    curve = Curve([0, 10, 20, 50], [0.0, 3.0, 6.0, 1.0])
    assert smoothed(curve, window=20) == ([0, 10, 20, 50], [1.5, 3.0, 4.5, 1.0])


def test_run_folders_are_drawn_beside_the_untrained_policy(tmp_path, monkeypatch, capsys):
    """Means 10 and 12 against 1 and 3: (11 - 2) / sqrt(1 + 1) = 6.4 standard errors."""
    for name, run in {
        "a": rows((50, 99), (100, 10), (200, 12)),  # the first row has too few episodes
        "zero": rows((100, 1), (200, 3)),
    }.items():
        (tmp_path / name).mkdir()
        lines = (json.dumps(row) + "\n" for row in run)
        (tmp_path / name / "metrics.jsonl").write_text("".join(lines))
    command = ["curves", str(tmp_path / "out.png"), str(tmp_path / "a")]
    monkeypatch.setattr(sys, "argv", [*command, "--untrained", str(tmp_path / "zero")])
    curves.main()
    assert (
        capsys.readouterr().out.splitlines()[-1] == "| maze | 2.00 ± 1.00 | 11.00 ± 1.00 | +6.4 |"
    )
    assert (tmp_path / "out.png").stat().st_size > 10_000
