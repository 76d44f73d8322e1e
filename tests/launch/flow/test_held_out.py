"""Held-out levels that are played while a run goes on."""

import pytest

from launch import evaluate
from launch.config.source import parse_config
from launch.errors import UserError
from launch.flow.held_out import trial_is_due
from launch.run.policy import policy_view
from tests.launch.runs import (
    PROCGEN,
    TMAZE,
    assert_resumes_as_uninterrupted,
    changed,
    checkpoints,
    rows,
    tensors,
    train,
)

TASKS = PROCGEN["envs"]["tasks"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tree = changed(PROCGEN, held_out__every_frames=70, held_out__episodes=2)
    return train(tmp_path_factory.mktemp("held_out"), tree, "run")


def test_rows_say_what_an_evaluation_of_the_same_weights_says(run):
    """Updates have 15 frames: after 75 and 150 a trial was due."""
    frames = [row["frames"] for row in rows(run)]
    assert frames == [30, 60, 90, 120, 150]
    held_out = {
        frames: {name: row[name] for name in row if name.startswith("held_out/")}
        for frames, row in zip(frames, rows(run), strict=True)
    }
    assert held_out[60] == {}
    assert held_out[90] == held_out[120]
    for at, shown in ((75, 90), (150, 150)):
        found = evaluate(run, ["validation"], episodes=2, checkpoint=str(at))
        assert held_out[shown] == {f"held_out/{score.task}": score.mean for score in found.scores}
        last = rows(run)[frames.index(shown)]
        assert last["held_out_normalised/mean"] == found.mean_normalised["validation"]


def test_a_run_learns_the_same_with_and_without_it(run, trained_procgen):
    for frames in checkpoints(trained_procgen):
        ours, theirs = tensors(run, frames), tensors(trained_procgen, frames)
        assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_the_best_weights_are_kept(run):
    scores = {row["frames"]: row.get("held_out_normalised/mean") for row in rows(run)}
    assert checkpoints(run, "best") == [75 if scores[90] >= scores[150] else 150]


def test_a_resumed_run_has_the_rows_of_an_uninterrupted_one(run, tmp_path):
    assert_resumes_as_uninterrupted(run, tmp_path / "resumed", middle=75, last=150)


def test_both_kinds_of_levels_are_in_the_charts_of_a_game():
    config = parse_config(PROCGEN, [], "test")
    charts = policy_view(config.envs, True, []).charts
    assert charts["Games"]["maze: return on training and on held-out levels"] == [
        "Multiline",
        ["return/maze", "held_out/maze"],
    ]
    (means, gap) = charts["Overview"].values()
    assert means == ["Multiline", ["return_normalised/mean", "held_out_normalised/mean"]]
    assert gap == ["Multiline", ["held_out_normalised/gap"]]


@pytest.mark.parametrize(
    ("before", "after", "due"), [(0, 69, False), (60, 75, True), (75, 90, False), (60, 140, True)]
)
def test_when_a_trial_is_due(before, after, due):
    config = parse_config(changed(PROCGEN, held_out__every_frames=70), [], "test")
    assert trial_is_due(config, before, after) is due
    assert not trial_is_due(parse_config(PROCGEN, [], "test"), before, after)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (TMAZE, "held_out.every_frames: split 'validation' is for ProcGen"),
        (
            changed(PROCGEN, envs={"tasks": ["coinrun"], "distribution_mode": "exploration"}),
            "held_out.every_frames: split 'validation' does not exist in mode 'exploration'",
        ),
    ],
)
def test_where_there_are_no_held_out_levels_it_is_refused(tree, expected):
    with pytest.raises(UserError, match=expected):
        parse_config(changed(tree, held_out__every_frames=70), [], "test")
