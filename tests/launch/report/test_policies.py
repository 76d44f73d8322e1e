"""What tables, files and pictures of evaluated runs show, for returns made by hand."""

import csv
import json
import math
from io import StringIO

import pytest
from rich.console import Console

from launch.config.source import parse_config
from launch.flow.evaluate import Score
from launch.play.evaluate import Evaluation
from launch.play.policies import PolicyResult, summarise
from launch.report.files import write_json
from launch.report.policies import (
    as_tree,
    normalised_table,
    return_table,
    shared_facts,
    write_csv,
)
from launch.report.policies_picture import draw
from tests.launch.runs import PROCGEN, TMAZE, changed

SPLITS = ("train", "test1")
LEAKS = {"test1": {"bigfish": [], "maze": [1007, 1008]}}


def result(*heights, tree=PROCGEN, left_out=None, splits=SPLITS, **changes):
    """Return a result of seeds whose returns are 0 and twice the height, but half of it in maze."""
    config = parse_config(changed(tree, **changes), [], "test")
    found = [
        Evaluation(
            100 + seed,
            0,
            [
                Score(split, task, (0.0, 2 * height / (1 + number)), (3, 4), None)
                for split in splits
                for number, task in enumerate(config.envs.tasks)
            ],
            {},
            left_out or {},
        )
        for seed, height in enumerate(heights)
    ]
    return PolicyResult(
        runs=tuple(f"run{seed}" for seed in range(len(heights))),
        config=config,
        seeds=tuple(range(len(heights))),
        checkpoint="best",
        episodes=2,
        sampled=False,
        evaluations=tuple(found),
        **dict(zip(("scores", "aggregates"), summarise(found, "easy"), strict=True)),
    )


def text(table, width=100):
    console = Console(width=width, record=True, file=StringIO())
    console.print(table)
    return [" ".join(line.split()) for line in console.export_text().splitlines()]


def test_a_row_for_each_core_and_what_differs_beside_it():
    results = [result(10.0), result(20.0, agent__core="lstm", learner__discount=0.9)]
    assert text(return_table(results))[:5] == [
        "game core learner.discount train test1",
        "bigfish srwm 0.99 10.00±10.00 10.00±10.00",
        "bigfish lstm 0.9 20.00±20.00 20.00±20.00",
        "maze srwm 0.99 5.00±5.00 5.00±5.00",
        "maze lstm 0.9 10.00±10.00 10.00±10.00",
    ]
    # bigfish (10 - 1) / 39 = 0.231 and maze (5 - 5) / 5 = 0; then 19 / 39 = 0.487 and 1.
    lines = [
        [*line.split()[:3], line.split()[3].split("±")[0]]
        for line in text(normalised_table(results))[1:3]
    ]
    assert lines == [["mean", "srwm", "0.99", "0.12"], ["mean", "lstm", "0.9", "0.74"]]
    heading = text(normalised_table(results))[0]
    assert heading == "of all games core learner.discount train test1 gap"
    assert shared_facts(results) == (
        "checkpoint best, frames learnt 100, seeds 0, actions greedy, episodes 2, "
        "leaked levels left out no. The intervals are over episodes."
    )


def test_on_a_narrow_terminal_no_number_is_cut():
    shown = "".join(text(return_table([result(12345.0, splits=[*SPLITS, "test2", "test3"])]), 40))
    assert "…" not in shown
    assert "..." not in shown


def test_seeds_are_one_row():
    facts = shared_facts([result(10.0, 20.0)])
    assert "frames learnt 100 101, seeds 0 1" in facts
    assert facts.endswith("over seeds.")
    assert "bigfish srwm 15.00±5.00 15.00±5.00" in text(return_table([result(10.0, 20.0)]))


def test_how_many_levels_were_left_out_is_said():
    facts = shared_facts([result(10.0, left_out=LEAKS)])
    assert "leaked levels left out maze 2 of test1." in facts
    none = {"test1": {"bigfish": [], "maze": []}}
    assert "leaked levels left out there are none." in shared_facts([result(1.0, left_out=none)])


def test_games_without_a_range_have_one_table():
    assert normalised_table([result(1.0, tree=TMAZE, splits=["train"])]) is None
    both = [result(1.0, tree=TMAZE, splits=["train"]), result(1.0)]
    (table,) = [text(return_table(both[:1]))]
    assert table[1] == "memory/TMaze-8 srwm 1.00±1.00"
    assert len(text(normalised_table(both))) == 1 + 3 + 2  # of the other run alone


def test_every_estimate_is_in_the_csv(tmp_path):
    write_csv(tmp_path / "a.csv", [result(10.0), result(20.0, agent__core="lstm")])
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert len(rows) == 2 * (2 * 2 * 2 + 3 * 3)
    assert rows[1] == {
        **{"core": "srwm", "checkpoint": "best", "frames learnt": "100", "seeds": "0"},
        **{"actions": "greedy", "episodes": "2", "leaked levels left out": "no"},
        **{"split": "train", "game": "bigfish", "statistic": "mean", "scale": "normalised"},
        **{"estimate": str(9 / 39), "low": str(-1 / 39), "high": str(19 / 39)},
        "interval over": "episodes",
    }
    last = rows[-1]
    assert [last[name] for name in ("core", "split", "game", "statistic")] == [
        *("lstm", "gap", "", "IQM")
    ]
    assert float(last["estimate"]) == 0


def test_the_json_has_the_return_of_each_level(tmp_path):
    write_json(tmp_path / "a.json", as_tree([result(10.0, 20.0, left_out=LEAKS)]))
    (tree,) = json.loads((tmp_path / "a.json").read_text())
    assert (tree["runs"], tree["facts"]["core"]) == (["run0", "run1"], "srwm")
    assert tree["normalisation"].startswith("ProcGen paper")
    assert tree["scores"][0]["return"] == {"mean": 15, "low": 10, "high": 20}
    network = tree["networks"][1]
    assert (network["run"], network["seed"], network["frames"]) == ("run1", 1, 101)
    assert network["left_out"] == LEAKS
    assert network["episodes"][1] == {
        **{"split": "train", "task": "maze", "levels": [3, 4], "returns": [0, 20]}
    }


def test_the_picture_has_bars_of_these_heights():
    figure = draw([result(10.0), result(20.0, agent__core="lstm")])
    first, second = figure.axes
    assert [label.get_text() for label in first.get_xticklabels()] == [
        *("bigfish", "maze", "mean", "median", "IQM")
    ]
    heights = [bar.get_height() for bar in second.patches]
    assert heights[:3] == pytest.approx([19 / 39, 1, (19 / 39 + 1) / 2])
    assert len(heights) == 2 * 5
    assert [entry.get_text() for entry in first.get_legend().get_texts()] == [*SPLITS]
    (alone,) = draw([result(10.0, tree=TMAZE, splits=["train"])]).axes
    assert alone.get_ylabel() == "return"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_returns_that_are_not_finite_are_shown(bad, tmp_path):
    results = [result(bad), result(1.0, bad, agent__core="lstm")]
    bigfish = text(return_table(results))[1]
    assert bigfish.split()[-2:] == [str(bad)] * 2
    assert normalised_table(results) is not None
    write_csv(tmp_path / "a.csv", results)
    write_json(tmp_path / "a.json", as_tree(results))
    strict = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert strict[0]["scores"][0]["return"] == {"mean": None, "low": None, "high": None}
    draw(results).savefig(tmp_path / "a.png")
