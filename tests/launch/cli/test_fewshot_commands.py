"""`srwm eval` and `srwm trace` on few-shot runs: what is printed, written, drawn and refused."""

import csv
import json

import numpy as np
import pytest
from matplotlib.image import imread

from envs.fewshot import DataConfig
from tests.launch.fewshot import SEQUENTIAL, SYNCHRONOUS, train_fewshot, write_images
from tests.launch.runs import TMAZE, changed, main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Finished runs: two seeds of the SRWM, an LSTM, and a sequence of two tasks."""
    folder = tmp_path_factory.mktemp("fewshot")
    roots = [str(folder / name) for name in ("images", "others")]
    tasks = [{"name": "folder", "root": root} for root in roots]
    for seed, name in enumerate(("images", "others")):
        write_images(folder / name, seed)
    one = changed(SYNCHRONOUS, episodes__tasks=tasks[:1])
    train_fewshot(folder, one, "srwm0")
    train_fewshot(folder, changed(one, seed=1), "srwm1")
    train_fewshot(folder, changed(one, classifier__core="lstm"), "lstm")
    train_fewshot(folder, changed(SEQUENTIAL, episodes__tasks=tasks), "two")
    return folder


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_runs_are_compared_in_one_table_and_seeds_are_joined(trained, tmp_path, capsys):
    runs = [str(trained / name) for name in ("srwm0", "srwm1", "lstm")]
    there = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    files = ["--json", "a.json", "--csv", "a.csv", "--out", "a.png"]
    capsys.readouterr()
    assert main("eval", *runs, "--episodes", "30", *files) == 0
    printed = capsys.readouterr().out
    joined, alone = json.loads((tmp_path / "a.json").read_text())
    assert (joined["core"], joined["seeds"], joined["runs"]) == ("srwm", [0, 1], runs[:2])
    assert (alone["core"], alone["seeds"], alone["checkpoint"]) == ("lstm", [0], "best")
    assert (alone["split"], alone["episodes"], alone["k_shot"]) == ("test", 30, 1)
    (task,) = alone["tasks"]
    # Two labelled images, then three queries.
    assert (list(task["by_shot"]), list(task["by_position"])) == (["1"], ["2", "3", "4"])
    mean, low, high = (100 * task["overall"][name] for name in ("mean", "low", "high"))
    assert f"lstm 0 {mean:.1f} {low:.1f} to {high:.1f}" in lines(printed)
    for fact in (
        "backbone conv4 x32",
        "ways 2",
        "shots 1",
        "queries 3",
        "episodes 30",
        "over seeds",
    ):
        assert fact in " ".join(lines(printed))
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [(row["core"], row["by"], row["at"]) for row in rows[5:]] == [
        *(("lstm", "all", ""), ("lstm", "shot", "1")),
        *(("lstm", "position", position) for position in "234"),
    ]
    assert float(rows[5]["high"]) == task["overall"]["high"]
    assert imread(tmp_path / "a.png").shape[1] > 500
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == there


def test_two_tasks_are_tried_in_both_orders(trained, tmp_path, capsys):
    arguments = ["--episodes", "20", "--split", "validation", "--json", "a.json", "--out", "a.svg"]
    assert main("eval", str(trained / "two"), *arguments) == 0
    one, back = json.loads((tmp_path / "a.json").read_text())
    assert one["order"] == back["order"][::-1] == ["folder 1", "folder 2"]
    assert [list(task["by_position"]) for task in one["tasks"]] == [list("0123"), list("4567")]
    assert [list(task["by_shot"]) for task in one["tasks"]] == [["0", "1"], ["0", "1"]]
    printed = lines(capsys.readouterr().out)
    assert printed.count("examples seen folder 1 folder 2") == 1
    assert printed.count("examples seen folder 2 folder 1") == 1
    assert "nothing is reset" in (tmp_path / "a.svg").read_text()


def test_shots_labels_and_checkpoint_can_be_chosen(trained, tmp_path):
    """Episodes are the same for the same options, and those of a validation while training."""
    run = trained / "srwm0"
    results = []
    for options in (
        ["--shots", "2", "--split", "train", "--split", "test"],
        ["--shuffle-labels", "--checkpoint", "40"],
        ["--checkpoint", "newest", "--split", "validation", "--episodes", "10"],
    ):
        assert main("eval", str(run), "--episodes", "20", *options, "--json", "a.json") == 0
        results.append(json.loads((tmp_path / "a.json").read_text()))
    more, (control,), (validation,) = results
    assert [(r["split"], r["k_shot"], r["trained_k_shot"]) for r in more] == [
        ("train", 2, 1),
        ("test", 2, 1),
    ]
    assert [list(r["tasks"][0]["by_shot"]) for r in more] == [["2"], ["2"]]
    assert (control["shuffled"], control["frames"]) == (True, [40])
    *_, last = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = validation["tasks"][0]["overall"]["mean"]
    assert found == pytest.approx(last["accuracy/validation"])


def test_an_episode_is_drawn_with_its_answers(trained, tmp_path, capsys):
    for name, answers in (("srwm0", 3), ("two", 8)):
        assert main("trace", str(trained / name), "--out", name, "--seed", "2") == 0
        assert f"of {answers} answers are right: {name}.png" in capsys.readouterr().out
        assert np.ptp(imread(tmp_path / f"{name}.png")[..., :3]) > 0.5


REFUSED = {
    "same seed twice": (["eval", "srwm0", "srwm0"], ["srwm0", "seed", "leave one"]),
    "unknown split": (["eval", "srwm0", "--split", "tset"], ["'tset'", "validation"]),
    "unknown checkpoint": (["eval", "srwm0", "--checkpoint", "7"], ["checkpoint 7", "20, 40"]),
    "checkpoint of no kind": (["eval", "srwm0", "--checkpoint", "last"], ["'last'", "newest"]),
    "too few images": (["eval", "srwm0", "--shots", "9"], ["srwm0", "k_shot 9", "only 5"]),
    "no shots": (["eval", "srwm0", "--shots", "0"], ["--shots", "0"]),
    "seed of fixed episodes": (["eval", "srwm0", "--seed", "1"], ["--seed", "no effect"]),
    "unknown kind of picture": (["eval", "srwm0", "--out", "a.jpg"], ["a.jpg", ".png"]),
    "figures into no folder": (["eval", "srwm0", "--csv", "none/a.csv"], ["none/a.csv"]),
    "trace without fast weights": (["trace", "lstm", "--out", "a"], ["'lstm'", "no fast weights"]),
    "trace of a game": (["trace", "srwm0", "--task", "maze", "--out", "a"], ["--task", "no games"]),
    "trace of no split": (["trace", "srwm0", "--split", "x", "--out", "a"], ["'x'", "validation"]),
}


@pytest.mark.parametrize(("arguments", "named"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_in_one_line(arguments, named, trained, tmp_path, capsys):
    command, *rest = arguments
    paths = [str(trained / word) if (trained / word).is_dir() else word for word in rest]
    capsys.readouterr()
    assert main(command, *paths) == 2
    output = capsys.readouterr()
    error = output.err.splitlines()[-1]
    assert all(word in error for word in ("srwm: ", *named)), error
    assert "Traceback" not in output.err
    assert not any(tmp_path.iterdir())


def test_kinds_of_runs_and_their_options_are_not_mixed(trained, trained_tmaze, capsys):
    game, fewshot = str(trained_tmaze), str(trained / "srwm0")
    for arguments, named in (
        ([game, fewshot], ["a few-shot run", "command of its own"]),
        ([game, "--shots", "1"], ["--shots", "plays games"]),
        ([fewshot, "--sample"], ["--sample", "fixed episodes"]),
        ([fewshot, "--exclude-leaked"], ["--exclude-leaked", "fixed episodes"]),
        ([game, "--checkpoint", "best"], ["no best checkpoint", "newest"]),
    ):
        assert main("eval", *arguments) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert all(word in error for word in named), error
    assert main("trace", game, "--out", "a") == 2
    (task,) = TMAZE["envs"]["tasks"]
    assert f"--task is missing: one of {task}" in capsys.readouterr().err


def test_data_that_have_gone_are_named(trained, tmp_path, capsys):
    config = trained / "srwm0" / "config.yaml"
    there = config.read_text()
    config.write_text(there.replace(str(trained / "images"), str(tmp_path / "gone")))
    try:
        assert main("eval", str(trained / "srwm0")) == 2
    finally:
        config.write_text(there)
    error = capsys.readouterr().err.splitlines()[-1]
    assert str(tmp_path / "gone") in error
    assert DataConfig(name="folder", root="gone").name in error
