"""Complete episodes, played greedily, against returns known from the environments' rules."""

import json
import math
import statistics
from io import StringIO

import pytest
import torch
from rich.console import Console
from torch import nn

from agents import Agent
from agents.cores import Core
from envs import EnvsConfig, make_env
from launch.flow.evaluate import ENVS_PER_TASK, Score, evaluate, mean_normalised
from launch.report.table import score_table
from tests.launch.runs import copy_run, main
from tests.worlds import Count, counting_length, counting_reward

COUNTING = EnvsConfig(tasks=("tests.worlds:Counting-v0",))
TMAZE = EnvsConfig(tasks=("memory/TMaze-8",))


class Remember(Core):
    """Shows the cue of a TMaze, which it saw when the episode opened."""

    output_size = 2

    def initial_state(self, batch):
        return (torch.zeros(batch, 2),)

    def forward(self, x, first, state):
        (cue,) = state
        shown = []
        for features, opens in zip(x, first.unsqueeze(-1), strict=True):
            cue = torch.where(opens, features[:, :2], cue)
            shown.append(cue)
        return torch.stack(shown), (cue,)


class Nothing(Core):
    output_size = 2

    def initial_state(self, batch):
        return ()

    def forward(self, x, first, state):
        return torch.zeros(*first.shape, 2), state


def agent_of(core, bias=(0.0, 0.0)):
    """Return an agent whose logits are the core's output plus a bias."""
    agent = Agent(nn.Identity(), core, num_actions=2).eval()
    with torch.no_grad():
        agent.policy.weight.copy_(torch.eye(2))
        agent.policy.bias.copy_(torch.tensor(bias))
    return agent


# As many as environments play side by side, fewer, and a number that they do not share equally.
@pytest.mark.parametrize("episodes", [1, 5, ENVS_PER_TASK, 2 * ENVS_PER_TASK + 5])
@pytest.mark.parametrize("action", [0, 1])
def test_each_environment_plays_its_share_and_the_mean_is_of_those(episodes, action):
    """Episodes of Counting are 1 to 7 long: the first to finish would be other ones."""
    bias = (0.1, 0.0) if action == 0 else (0.0, 0.1)  # greedy, so a little is all
    advanced = []
    (score,) = evaluate(
        agent_of(Nothing(), bias), COUNTING, "train", episodes, 4, lambda: advanced.append(1)
    )
    side_by_side = min(episodes, ENVS_PER_TASK)
    worlds = make_env(COUNTING, side_by_side, seed=4).observe().obs[:, 0]
    returns = []
    for env, world in enumerate(int(world) for world in worlds):
        for episode in range(len(range(env, episodes, side_by_side))):
            counts = [Count(world, episode, t) for t in range(counting_length(world, episode))]
            returns.append(sum(counting_reward(count, action) for count in counts))
    assert len(returns) == episodes == len(advanced)
    assert score.episodes == episodes
    assert score.mean == pytest.approx(statistics.fmean(returns))
    if episodes == 1:
        assert score.standard_error is None
    else:
        error = statistics.stdev(returns) / math.sqrt(episodes)
        assert score.standard_error == pytest.approx(error)
    assert score.normalised is None


def test_an_agent_that_remembers_solves_a_tmaze():
    """The state is carried from step to step and forgotten between episodes."""
    (score,) = evaluate(agent_of(Remember()), TMAZE, "train", 40, 0)
    assert score == Score("train", TMAZE.tasks[0], 40, 1.0, 0.0, None)


def test_an_agent_without_memory_is_right_half_of_the_time():
    (left,) = evaluate(agent_of(Nothing(), (1.0, 0.0)), TMAZE, "train", 60, 0)
    (right,) = evaluate(agent_of(Nothing(), (0.0, 1.0)), TMAZE, "train", 60, 0)
    assert left.mean == -right.mean  # the same mazes
    assert abs(left.mean) < 0.5
    (elsewhere,) = evaluate(agent_of(Nothing(), (1.0, 0.0)), TMAZE, "train", 60, 1)
    assert elsewhere.mean != left.mean  # another seed, other mazes


def test_the_table_shows_every_score_and_the_means():
    scores = [
        Score("train", "bigfish", 10, 12.345, 0.5, 0.291),
        Score("train", "maze", 10, 7.5, 0.25, 0.5),
        Score("test1", "bigfish", 10, 4.0, 0.125, 0.0769),
        Score("test1", "maze", 1, 5.0, None, None),
    ]
    console = Console(width=100, record=True, file=StringIO())
    console.print(score_table(scores))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["train", "bigfish", "10", "12.35", "0.50", "0.291"] in lines
    assert ["train", "mean", f"{(0.291 + 0.5) / 2:.3f}"] in lines
    assert ["test1", "maze", "1", "5.00", "-", "-"] in lines
    assert ["test1", "mean", "-"] in lines  # not of some of the games
    assert mean_normalised(scores[:2]) == pytest.approx(0.3955)
    assert mean_normalised(scores) is None


def test_the_command_prints_and_writes_the_scores_and_leaves_the_run_alone(
    trained_tmaze, tmp_path, capsys
):
    run = copy_run(trained_tmaze, tmp_path / "run")
    there = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    capsys.readouterr()
    assert main("eval", "run", "--episodes", "3", "--seed", "7", "--json", "scores.json") == 0
    table = capsys.readouterr().out.splitlines()
    result = json.loads((tmp_path / "scores.json").read_text())
    # The only split outside ProcGen.
    (score,) = result.pop("scores")
    assert result == {"run": "run", "frames": 400, "seed": 7, "mean_normalised": {"train": None}}
    assert (score["split"], score["task"], score["episodes"]) == ("train", TMAZE.tasks[0], 3)
    assert score["mean"] in (-1, pytest.approx(-1 / 3), pytest.approx(1 / 3), 1)
    error = f"{score['standard_error']:.2f}"
    assert any(
        line.split() == ["train", TMAZE.tasks[0], "3", f"{score['mean']:.2f}", error, "-"]
        for line in table
    )
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == there


def test_games_are_played_on_the_levels_of_each_split(trained_procgen, tmp_path, capsys):
    arguments = ["--split", "train", "--split", "test1", "--episodes", "2", "--json", "s.json"]
    assert main("eval", str(trained_procgen), *arguments) == 0
    result = json.loads((tmp_path / "s.json").read_text())
    played = [(score["split"], score["task"], score["episodes"]) for score in result["scores"]]
    games = ("bigfish", "maze")
    assert played == [(split, game, 2) for split in ("train", "test1") for game in games]
    for split in ("train", "test1"):
        values = [s["normalised"] for s in result["scores"] if s["split"] == split]
        assert result["mean_normalised"][split] == pytest.approx(statistics.fmean(values))
    # easy: bigfish 1 to 40, maze 5 to 10 (arXiv 1912.01588)
    for score, (low, high) in zip(result["scores"], [(1, 40), (5, 10)] * 2, strict=True):
        assert score["normalised"] == pytest.approx((score["mean"] - low) / (high - low))
