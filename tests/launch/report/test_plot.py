"""`srwm plot`: runs as lines, alike runs as one."""

import json

import numpy as np
import pytest

from launch.config.source import parse_config
from launch.report.plot import open_runs, plot
from launch.run.folder import RunFolder
from tests.launch.fewshot import SYNCHRONOUS
from tests.launch.runs import TMAZE, changed, main

TASK = "memory/TMaze-8"


@pytest.fixture
def run(tmp_path):
    """Make a run folder whose return rises to `height`."""

    def run(name, height=1.0, tree=TMAZE, metric=f"return/{TASK}", **changes):
        folder = RunFolder(tmp_path / name)
        folder.create(parse_config(changed(tree, **changes), [], "test"))
        rows = [{"frames": x, metric: height * x / 100, "time/update": 1.0} for x in (50, 75, 100)]
        folder.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder.path

    return run


def lines(figure):
    """The last value of each line of each chart, by title and label."""
    return {
        axis.get_title(): {line.get_label(): line.get_ydata()[-1] for line in axis.lines}
        for axis in figure.axes
    }


def test_seeds_are_one_line_and_cores_are_several(run):
    runs = [run("a", 0.2), run("b", 0.6, seed=1), run("c", 0.9, agent__core="lstm")]
    figure = plot(open_runs(runs))
    assert lines(figure) == {f"return/{TASK}": pytest.approx({"srwm": 0.4, "lstm": 0.9})}
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    at_the_end = band[band[:, 0] == 100][:, 1]
    np.testing.assert_allclose([at_the_end.min(), at_the_end.max()], [0.2, 0.6])


def test_what_differs_names_the_line_and_a_key_may_be_chosen(run):
    runs = [run("a", 0.2), run("b", 0.4, learner__discount=0.9, agent__core="lstm")]
    assert [*lines(plot(open_runs(runs)))[f"return/{TASK}"]] == [
        "srwm, discount 0.99",
        "lstm, discount 0.9",
    ]
    figure = plot(open_runs(runs), ["time/update"], ["learner.batch_size"])
    assert lines(figure) == {"time/update": {"batch_size 4": 1.0}}


def test_a_fewshot_run_shows_its_accuracies(run, tmp_path):
    path = run("a", tree=SYNCHRONOUS, metric="accuracy/validation")
    assert main("plot", str(path), "--out", "curves.svg") == 0
    assert (tmp_path / "curves.svg").stat().st_size > 1000
    assert [*lines(plot(open_runs([path])))] == ["accuracy/validation"]


def test_what_cannot_be_drawn_is_one_line(run, tmp_path, capsys):
    path, empty = str(run("a")), run("empty")
    other = str(run("few", tree=SYNCHRONOUS))
    (empty / "metrics.jsonl").unlink()
    for arguments, expected in (
        ([path, "--metric", "return/TMaze"], f"did you mean return/{TASK}?"),
        ([path, "--by", "learner.batchsize"], "did you mean learner.batch_size?"),
        ([str(empty)], "has no metrics yet"),
        ([str(tmp_path / "no")], "not a run folder"),
        ([path, other], "is a few-shot run"),
    ):
        assert main("plot", *arguments, "--out", "a.png") == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert expected in error
    assert main("plot", path, "--out", "a.gif") == 2
