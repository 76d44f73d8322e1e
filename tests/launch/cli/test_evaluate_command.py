"""`srwm eval` on runs that play games: what is printed, written, drawn and refused."""

import csv
import json

import pytest
import torch
from matplotlib.image import imread

from launch.play import evaluate as module
from tests.launch.runs import TMAZE, changed, copy_run, main, train

TASK = TMAZE["envs"]["tasks"][0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, trained_tmaze):
    """Two seeds of the SRWM and an LSTM, all in a TMaze."""
    folder = tmp_path_factory.mktemp("runs")
    copy_run(trained_tmaze, folder / "srwm0")
    train(folder, changed(TMAZE, seed=1, launch__envs_per_worker=2), "srwm1")
    train(folder, changed(TMAZE, agent__core="lstm"), "lstm0")
    return folder


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_runs_are_compared_in_one_table_and_seeds_are_joined(runs, tmp_path, capsys):
    paths = [str(runs / name) for name in ("srwm0", "srwm1", "lstm0")]
    there = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    files = ["--json", "a.json", "--csv", "a.csv", "--out", "a.png"]
    capsys.readouterr()
    assert main("eval", *paths, "--episodes", "7", "--seed", "3", *files) == 0
    printed = lines(capsys.readouterr().out)
    joined, alone = json.loads((tmp_path / "a.json").read_text())
    assert (joined["runs"], joined["intervals_over"]) == (paths[:2], "seeds")
    assert (alone["runs"], alone["intervals_over"]) == (paths[2:], "episodes")
    (score,) = alone["scores"]
    (episodes,) = alone["networks"][0]["episodes"]
    assert len(episodes["returns"]) == 7
    assert score["return"]["mean"] == pytest.approx(sum(episodes["returns"]) / 7)
    mean, low, high = score["return"].values()
    assert f"{TASK} lstm 0 {mean:.2f}±{(high - low) / 2:.2f}" in printed
    assert any(line.startswith(f"{TASK} srwm 0 1 ") for line in printed)
    assert "frames learnt 400, actions greedy, episodes 7" in " ".join(printed)
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [(row["core"], row["seeds"], row["scale"]) for row in rows] == [
        *(("srwm", "0 1", "return"), ("lstm", "0", "return"))
    ]
    assert float(rows[1]["estimate"]) == mean
    assert imread(tmp_path / "a.png").shape[1] > 500
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == there


def test_the_seed_decides_what_is_played(runs, tmp_path):
    found = []
    for options in ([], [], ["--sample"], ["--sample"], ["--sample", "--seed", "1"]):
        arguments = [str(runs / "lstm0"), "--episodes", "20", *options, "--json", "a.json"]
        assert main("eval", *arguments) == 0
        (result,) = json.loads((tmp_path / "a.json").read_text())
        assert result["facts"]["actions"] == ("sampled" if options else "greedy")
        found.append(result["networks"][0]["episodes"][0]["returns"])
    greedy, greedy_again, sampled, sampled_again, another_seed = found
    assert greedy == greedy_again
    assert sampled == sampled_again
    assert len({tuple(greedy), tuple(sampled), tuple(another_seed)}) == 3


def test_games_are_played_on_the_levels_of_each_split(trained_procgen, tmp_path, capsys):
    arguments = ["--split", "train", "--split", "test1", "--episodes", "1", "--json", "s.json"]
    assert main("eval", str(trained_procgen), *arguments) == 0
    (result,) = json.loads((tmp_path / "s.json").read_text())
    (network,) = result["networks"]
    levels = {"train": [0], "test1": [1000]}
    assert [(e["split"], e["task"], e["levels"]) for e in network["episodes"]] == [
        (split, game, levels[split]) for split in levels for game in ("bigfish", "maze")
    ]
    # easy: bigfish 1 to 40, maze 5 to 10 (arXiv 1912.01588)
    for score, (low, high) in zip(result["scores"], [(1, 40), (5, 10)] * 2, strict=True):
        expected = (score["return"]["mean"] - low) / (high - low)
        assert score["normalised"]["mean"] == pytest.approx(expected)
    means = {a["split"]: a["mean"] for a in result["aggregates"] if a["statistic"] == "mean"}
    assert means["gap"] == pytest.approx(means["train"] - means["test1"])


def test_leaked_levels_are_left_out_and_counted(trained_procgen, tmp_path, capsys, monkeypatch):
    """Level 56 of maze equals level 46; here it is held out."""
    run = copy_run(trained_procgen, tmp_path / "run")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("num_levels: 200", "num_levels: 50"))
    monkeypatch.setitem(module.split_config.__globals__["HELD_OUT"], "test1", 55)
    monkeypatch.setitem(module.split_config.__globals__, "HELD_OUT_LEVELS", 3)
    options = ["--split", "test1", "--exclude-leaked", "--episodes", "3", "--json", "a.json"]
    assert main("eval", "run", *options) == 0
    assert "leaked levels left out maze 1 of test1." in " ".join(lines(capsys.readouterr().out))
    (result,) = json.loads((tmp_path / "a.json").read_text())
    (network,) = result["networks"]
    assert network["left_out"] == {"test1": {"bigfish": [], "maze": [56]}}
    assert [e["levels"] for e in network["episodes"]] == [[55, 56, 57], [55, 57]]


def test_a_network_that_has_diverged_is_one_line(runs, monkeypatch, capsys):
    def diverged(config, saved):
        agent = check(config, saved)
        torch.nn.init.constant_(agent.policy.weight, torch.nan)
        return agent

    check = module.check
    monkeypatch.setattr(module, "check", diverged)
    for options in ([], ["--sample"]):
        assert main("eval", str(runs / "lstm0"), *options) == 1
        error = capsys.readouterr().err
        assert "srwm: the network's outputs are not finite" in error
        assert "Traceback" not in error


def test_infinite_returns_are_reported(runs, monkeypatch, capsys, tmp_path, caplog):
    def play(agent, envs, split, episodes, *rest):
        (score,) = original(agent, envs, split, episodes, *rest)
        return [score._replace(returns=(float("inf"), *score.returns[1:]))]

    original = module.play
    monkeypatch.setattr(module, "play", play)
    files = ["--json", "a.json", "--csv", "a.csv", "--out", "a.png"]
    assert main("eval", str(runs / "lstm0"), "--episodes", "3", *files) == 0
    assert f"{TASK} lstm inf" in lines(capsys.readouterr().out)
    assert "1 of 3 returns are not finite" in caplog.text


REFUSED = {
    "same seed twice": (["lstm0", "lstm0"], ["lstm0", "seed", "leave one"]),
    "unknown split": (["lstm0", "--split", "test9"], ["'test9'", "validation"]),
    "split of ProcGen": (["lstm0", "--split", "test1"], ["'test1'", "use train"]),
    "unknown checkpoint": (["srwm0", "lstm0", "--checkpoint", "7"], ["checkpoint 7", "100, 200"]),
    "no best checkpoint": (["lstm0", "--checkpoint", "best"], ["no best checkpoint", "newest"]),
    "leaks outside ProcGen": (
        ["lstm0", "--exclude-leaked"],
        ["--exclude-leaked", "is for ProcGen"],
    ),
    "unknown kind of picture": (["lstm0", "--out", "a.jpg"], ["a.jpg", ".png"]),
    "figures into no folder": (["lstm0", "--csv", "none/a.csv"], ["none/a.csv"]),
    "no run": (["nothing"], ["nothing", "config.yaml"]),
}


@pytest.mark.parametrize(("arguments", "named"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_in_one_line(arguments, named, runs, tmp_path, capsys):
    paths = [str(runs / word) if (runs / word).is_dir() else word for word in arguments]
    capsys.readouterr()
    assert main("eval", *paths) == 2
    output = capsys.readouterr()
    error = output.err.splitlines()[-1]
    assert all(word in error for word in ("srwm: ", *named)), error
    assert "Traceback" not in output.err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "options", "named"),
    [
        ("num_levels: 0", [], ["trains on all levels"]),
        ("num_levels: 50", ["--split", "train"], ["no effect on training levels"]),
    ],
)
def test_leaks_that_cannot_be_left_out(change, options, named, trained_procgen, tmp_path, capsys):
    run = copy_run(trained_procgen, tmp_path / "run")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("num_levels: 200", change))
    assert main("eval", "run", "--exclude-leaked", *options) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in ("srwm: --exclude-leaked: ", *named)), error
