"""The benchmarks of few-shot learning, at a size that says nothing about speed."""

import json

import pytest

from tests.launch.runs import main

TINY = ["glyphs-5way-1shot", "episodes.n_way=3", "learner.batch_size=4", "launch.learner_threads=1"]
TINY += ["classifier.srwm={hidden_size: 16, heads: 2, layers: 1}"]


@pytest.mark.slow
def test_the_pieces_of_a_run_are_measured(capsys, tmp_path):
    assert main("bench", "fewshot", *TINY, "--seconds", "1", "--json", "a.json") == 0
    result = json.loads((tmp_path / "a.json").read_text())
    seconds = result["seconds"]
    assert result["images"] == 4 * (3 * 1 + 5)
    assert result["threads"] == 1
    assert [*seconds][:4] == ["episodes drawn", "backbone", "core and head", "update"]
    # An update has both passes in it.
    assert seconds["update"] > seconds["backbone"] > 0
    assert result["core_over_backbone"] == seconds["core and head"] / seconds["backbone"]
    assert result["images_per_second"]["update"] == 4 * 8 / seconds["update"]
    assert f"{result['core_over_backbone']:.2f} of the backbone's" in capsys.readouterr().out


@pytest.mark.slow
def test_prototypes_beat_chance_untrained_and_learn(capsys, tmp_path):
    few = ["--train-ways", "5", "--episodes", "200", "--json", "a.json"]
    accuracy = {}
    for images in (1, 8000):
        assert main("bench", "prototypes", *TINY, "--images", str(images), *few) == 0
        result = json.loads((tmp_path / "a.json").read_text())
        assert images <= result["images"] < images + 4 * 8 + 10
        assert result["episodes"] == 200
        accuracy[images] = result["accuracy"]["mean"]
        low, high = result["accuracy"]["low"], result["accuracy"]["high"]
        assert low < accuracy[images] < high
        assert f"{100 * accuracy[images]:.1f}" in capsys.readouterr().out
    assert 0.5 < accuracy[1] < accuracy[8000] - 0.03


@pytest.mark.parametrize(
    "command",
    [
        ["fewshot", "glyphs-5way-1shot", "episodes.n_way=9000"],
        ["prototypes", "glyphs-5way-1shot", "--train-ways", "9000"],
        ["prototypes", "sequential-glyphs-sprites"],
        ["prototypes", "quickstart"],
        ["fewshot", "quickstart"],
    ],
)
def test_what_cannot_be_measured_is_one_line(command, capsys):
    assert main("bench", *command) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert "9000" in error or "episodes.labels" in error or "quickstart" in error
