"""What the tables and pictures of few-shot runs show, for accuracies and episodes made by hand."""

import csv
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from launch.play.fewshot import FewShotResult, TaskScore
from launch.play.fewshot_trace import FewShotTrace
from launch.play.intervals import Estimate
from launch.report import fewshot_trace
from launch.report.fewshot import accuracy_table, shared_facts, shot_tables, write_csv
from launch.report.fewshot_picture import draw


def result(core="srwm", labels="synchronous", seeds=(0,), tasks=("glyphs",), **changes):
    """Return a result whose tasks have three positions each; accuracies are 0.5, 0.6, 0.7."""
    scores = []
    for number, task in enumerate(tasks):
        estimates = [Estimate(x / 10, x / 10 - 0.05, x / 10 + 0.05) for x in (5, 6, 7)]
        by_position = {3 * number + at: estimate for at, estimate in enumerate(estimates)}
        scores.append(TaskScore(task, estimates[1], dict(enumerate(estimates)), by_position))
    return FewShotResult(
        **{"runs": ("run",), "core": core, "backbone": "conv4 x32", "n_way": 4, "k_shot": 1},
        **{"trained_k_shot": 1, "n_query": 3, "labels": labels, "shuffled": False},
        **{"split": "test", "order": tasks, "episodes": 1000, "checkpoint": "best"},
        **{"frames": (500,), "seeds": seeds, "tasks": tuple(scores)},
    )._replace(**changes)


def text(table):
    console = Console(width=100, record=True, file=StringIO())
    console.print(table)
    return [" ".join(line.split()) for line in console.export_text().splitlines()]


def test_the_table_has_columns_for_what_differs_and_the_rest_is_said_once():
    results = [result(seeds=(0, 1)), result("lstm")]
    assert text(accuracy_table(results)) == [
        "core seeds accuracy % 95 % interval",
        "srwm 0 1 60.0 55.0 to 65.0",
        "lstm 0 60.0 55.0 to 65.0",
    ]
    facts = shared_facts(results)
    assert "ways 4, shots 1, trained shots 1, queries 3, labels synchronous" in facts
    assert "split test" in facts
    assert facts.endswith("over seeds where there are several, else over episodes.")
    assert shared_facts(results[1:]).endswith("over episodes.")
    assert shared_facts(results[:1]).endswith("over seeds.")


def test_accuracies_by_examples_seen_have_a_table_for_each_order():
    two = result(labels="delayed", tasks=("glyphs", "sprites"))
    back = result(labels="delayed", tasks=("sprites", "glyphs"))
    one, other = map(text, shot_tables([two, back]))
    assert "examples seen glyphs sprites" in one
    assert "examples seen sprites glyphs" in other
    assert "2 70.0±5.0 70.0±5.0" in one


def test_bars_stand_at_the_means_beside_chance():
    axis = draw([result(), result("lstm")]).axes[0]
    assert [bar.get_height() for bar in axis.patches] == pytest.approx([60, 60])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["srwm", "lstm"]
    assert [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == ":"] == [25]


def test_curves_go_over_the_switch_which_is_marked():
    figure = draw([result(labels="delayed", tasks=("glyphs", "sprites"))])
    (axis,) = figure.axes
    curve = next(line for line in axis.lines if line.get_label() == "srwm")
    assert curve.get_xdata().tolist() == [0, 1, 2, 3, 4, 5]
    assert curve.get_ydata() == pytest.approx([50, 60, 70, 50, 60, 70])
    assert [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == "--"] == [2.5]


def episode(length):
    labels = np.arange(length) % 2
    return FewShotTrace(
        images=np.zeros((length, 8, 8, 1), np.uint8),
        label_in=np.where(np.arange(length) < length - 2, labels, 2),
        target=labels,
        answer=np.zeros_like(labels),
        scored=np.arange(length) >= length - 2,
        task=np.zeros(length, np.int64),
        unknown=2,
        change=[np.ones((length, 2), np.float32)],
    )


def test_right_and_wrong_answers_have_colours_and_labels_are_written():
    axis = fewshot_trace.picture(episode(6), "title", "note").axes[1]
    cells = axis.get_images()[0].get_array()
    assert cells.tolist() == [[0] * 6, [0] * 6, [0, 0, 0, 0, 1, 2]]
    texts = {(t.get_position()[0], t.get_position()[1]): t.get_text() for t in axis.texts}
    assert [texts[at, 0] for at in range(6)] == ["0", "1", "0", "1", "-", "-"]
    assert [texts[at, 2] for at in range(6)] == ["", "", "", "", "0", "0"]


def test_of_a_long_episode_some_images_are_shown():
    strip, labels, *_ = fewshot_trace.picture(episode(150), "title", "note").axes
    assert len(strip.get_images()) == fewshot_trace.IMAGES
    assert labels.get_images()[0].get_array().shape == (1, 150)
    assert not labels.texts


def test_numbers_in_the_csv_have_no_separators(tmp_path):
    write_csv(tmp_path / "a.csv", [result(frames=(1_234_500, 2_000_000), tasks=("a, b",))])
    row, *_ = csv.DictReader((tmp_path / "a.csv").open())
    assert (row["episodes"], row["images learnt"]) == ("1000", "1234500 2000000")
    assert row["task"] == "a, b"
