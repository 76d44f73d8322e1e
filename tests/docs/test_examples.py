"""The scripts in docs/examples, run as a user would, at a tiny size."""

import runpy
import sys

import pytest
from PIL import Image

from launch import evaluate, load_config, resume, train
from tests.launch.runs import ROOT, main

EXAMPLES = ROOT / "docs" / "examples"
TINY = [
    "total_frames=200",
    "log_every_frames=40",
    "launch.mode=local",
    "launch.workers=1",
    "launch.envs_per_worker=2",
    "learner.unroll_length=5",
    "learner.batch_size=2",
]


def script(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_train_then_evaluate(monkeypatch, tmp_path, capsys):
    run = tmp_path / "run"
    script(monkeypatch, "train.py", *TINY, f"run_dir={run}")
    assert "     200 frames: mean return " in capsys.readouterr().out
    script(monkeypatch, "evaluate.py", str(run), "3")
    heading, line = capsys.readouterr().out.splitlines()
    assert heading == "after 200 frames:"
    assert line.startswith("CartPole-v1 on train: ") and line.endswith("(3 episodes)")


def test_own_parts(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXAMPLES)
    parts = ["imports=[own_parts]", "envs.tasks=[Corridor-v0]", "agent.encoder=linear"]
    core = ["agent.core=gru", "agent.core_options.hidden_size=8"]
    run = train(load_config("cartpole", [*TINY, *parts, *core, f"run_dir={tmp_path / 'run'}"]))
    assert run.path == tmp_path / "run"
    assert {path.name for path in run.checkpoints.iterdir()} == {"000000000200"}
    result = evaluate(run, episodes=2)
    assert result.frames == 200
    assert [(score.task, score.episodes) for score in result.scores] == [("Corridor-v0", 2)]
    # At most 50 steps of -0.1, at least four of them and then 1.
    assert -5 <= result.scores[0].mean <= 0.6 + 1e-6
    assert resume(run.path, ["total_frames=300"]).path == run.path
    assert evaluate(run.path, episodes=2).frames == 300


def test_the_command_line_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main("train", "cartpole", *TINY, "run_dir=a") == 0
    train(load_config("cartpole", [*TINY, "run_dir=b"]), "cartpole")
    first, second = (evaluate(run, episodes=4, seed=1) for run in "ab")
    assert first == second
    assert main("eval", "a", "--episodes", "4", "--seed", "1", "--json", "scores.json") == 0


@pytest.mark.parametrize("name", ["evaluate", "load_config", "resume", "train", "RunFolder"])
def test_the_package_offers_it(name):
    import launch
    from launch import api

    assert getattr(launch, name) is getattr(api, name)
    assert name in launch.__all__


@pytest.mark.slow
def test_contact_sheets_of_every_split(monkeypatch, tmp_path, capsys):
    script(monkeypatch, "contact_sheets.py", str(tmp_path / "sheets"))
    sheets = {path.name: Image.open(path) for path in (tmp_path / "sheets").iterdir()}
    splits = ("train", "validation", "test")
    assert {*sheets} == {
        f"{data}-{split}.png" for data in ("glyphs", "sprites") for split in splits
    }
    assert sheets["glyphs-test.png"].size == (12 * 29 + 1, 10 * 29 + 1)
    assert sheets["sprites-test.png"].size == (12 * 65 + 1, 10 * 65 + 1)
    assert "glyphs test: 1107 classes" in capsys.readouterr().out
