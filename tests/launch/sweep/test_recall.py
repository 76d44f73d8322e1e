"""The memory benchmark: which runs are made, what is kept of them, and what is drawn."""

import json

import numpy as np
import pytest

from launch.report.curves import Curve
from launch.sweep.recall import Cell, result_picture, result_table, solved_at
from tests.launch.runs import TMAZE, changed, main, write_config

QUICK = changed(
    TMAZE, total_frames=2000, log_every_frames=500, learner__batch_size=6, launch__workers=1
)


@pytest.fixture
def bench(tmp_path):
    file = write_config(tmp_path / "quick.yaml", QUICK)

    def bench(*arguments):
        cores = ["--core", "lstm", "--core", "feedforward"]
        return main("bench", "recall", "out", "--config", str(file), *cores, *arguments)

    return bench


def kept(folder):
    return {file.name: json.loads(file.read_text()) for file in folder.rglob("*.json")}


@pytest.mark.slow
def test_a_grid_is_trained_and_gone_on_with(bench, tmp_path, capsys):
    assert bench("--seeds", "1") == 0
    first = kept(tmp_path / "out")
    assert len(first) == 2
    for curve in first.values():
        assert curve["config"]["launch"]["mode"] == "local"
        assert curve["x"] == sorted(curve["x"])
        assert 1500 <= curve["x"][-1] <= 2030  # the last batch may pass the end
        assert len(curve["y"]) == len(curve["x"])
        assert np.abs(curve["y"]).max() <= 1
    assert (tmp_path / "out" / "recall.png").stat().st_size > 10_000

    # One more seed: what is there stays, to the byte.
    assert bench("--seeds", "2") == 0
    both = kept(tmp_path / "out")
    assert len(both) == 4
    assert {name: both[name] for name in first} == first
    # A seed is a run of its own, and the same again.
    (tmp_path / "out" / next(iter(first))).unlink()
    assert bench("--seeds", "2") == 0
    assert kept(tmp_path / "out") == both

    capsys.readouterr()
    assert bench("learner.learning_rate=1e-3", "--seeds", "1") == 2
    assert "made with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--core", "gru"], "'gru' is none of"),
        (["--config", "nope"], "'nope'"),
        (["learner.lr=1"], "learner.lr"),
    ],
)
def test_what_is_wrong_is_one_line_before_any_training(arguments, said, bench, capsys):
    assert bench(*arguments) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_task_is_solved_where_its_curve_first_reaches_the_mark():
    assert solved_at(Curve([10, 20, 30, 40], [0.1, 0.9, 0.3, 1.0])) == 20
    assert solved_at(Curve([10, 20], [0.1, 0.89])) is None


def test_the_table_has_a_row_for_each_task_and_core():
    curves = {
        Cell("maze", "srwm", 2): Curve([10, 20], [0.0, 1.0]),
        Cell("maze", "srwm", 1): Curve([10, 30], [0.0, 0.5]),
        Cell("maze", "lstm", 1): Curve([1000, 2000], [0.95, 1.0]),
    }
    table = result_table(curves)
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert rows == [
        ("maze", "srwm", "2", "-, 20", "0.75"),  # by seed
        ("maze", "lstm", "1", "1,000", "1.00"),
    ]
    (axis,) = result_picture(curves).axes
    assert axis.get_title() == "maze"
    assert [line.get_label() for line in axis.lines] == ["srwm", "lstm"]
