"""Environments that fail end a command in one line, wherever in it they fail."""

import pytest

from tests.envs.broken import BROKEN
from tests.launch.runs import checkpoints, main, rows, train, write_config

TREE = {
    "total_frames": 80,
    "log_every_frames": 20,
    "agent": {"core": "srwm", "srwm": {"hidden_size": 16, "layers": 1, "heads": 2}},
    "learner": {"unroll_length": 5, "batch_size": 2},
    "launch": {"mode": "local", "workers": 1, "envs_per_worker": 2},
}


def task_of(name):
    return f"tests.envs.broken:{name}-v0"


def tree_of(name):
    return {**TREE, "envs": {"tasks": [task_of(name)]}}


def last_line(capsys):
    """Return the one line with which the command ended."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    (line,) = [line for line in error.splitlines() if line.startswith("srwm: ")]
    return line


# At the start as bad input; when the environments open; or at the third step, saved.
@pytest.mark.parametrize(
    ("name", "status", "saved"),
    [
        ("RaisesInInit", 2, False),
        ("NoActions", 2, False),
        ("SpacesDiffer", 2, False),
        ("OldReset", 1, False),
        ("FloatImage", 1, False),
        ("WrongShape", 1, False),
        ("ExitsInReset", 1, False),
        ("RaisesInStep", 1, True),
        ("NaNReward", 1, True),
    ],
)
def test_training_names_the_task_and_the_fault(name, status, saved, tmp_path, capsys):
    run = tmp_path / "run"
    config = write_config(tmp_path / "c.yaml", {**tree_of(name), "run_dir": str(run)})
    assert main("train", str(config)) == status
    line = last_line(capsys)
    assert task_of(name) in line
    assert BROKEN[name] in line
    assert (f"continue it with: srwm train --resume {run}" in line) == saved
    assert run.exists() == (status == 1)
    if saved:
        assert checkpoints(run) == [0]
    elif status == 1:  # it can be started again
        assert main("train", str(config)) == 1


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """A run in an environment whose episodes do not end."""
    return train(tmp_path_factory.mktemp("endless"), tree_of("Endless"), "run")


def test_training_needs_no_episode_to_end(endless):
    assert rows(endless)[-1]["frames"] == 80
    assert rows(endless)[-1][f"episodes/{task_of('Endless')}"] == 0


@pytest.mark.parametrize(
    "rest", [["eval", "--episodes", "3"], ["trace", "--task", task_of("Endless"), "--out", "a.png"]]
)
def test_an_episode_that_does_not_end_is_given_up(rest, endless, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("launch.flow.limit.LONGEST_EPISODE", 50)
    command, *options = rest
    assert main(command, str(endless), *options) == 1
    line = last_line(capsys)
    assert f"task '{task_of('Endless')}': its episode has not ended after 50 steps" in line
    assert "max_episode_steps" in line
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    "rest",
    [["eval", "--episodes", "3"], ["trace", "--task", task_of("IntReward"), "--out", "a.png"]],
)
def test_an_episode_as_long_as_the_limit_counts(rest, tmp_path, monkeypatch):
    run = train(tmp_path, tree_of("IntReward"), "run")  # its episodes have 7 steps
    command, *options = rest
    monkeypatch.setattr("launch.flow.limit.LONGEST_EPISODE", 7)
    assert main(command, str(run), *options) == 0
