"""An episode of an agent that rewrites itself: what is recorded, drawn and filmed."""

from itertools import pairwise

import av
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import nn

from agents import Agent, AgentConfig, make_agent
from agents.cores import Core
from agents.cores.fast_weights import FastWeights
from envs import EnvsConfig, make_env
from launch.play.trace import Trace, play, record, task_config
from launch.report.picture import LEAST_FACTOR, picture, rgb, thin_out
from launch.report.video import FRAMES_PER_SECOND, VIDEO_DPI, film, write_video
from tests.launch.runs import TMAZE, changed, copy_run, main, train
from tests.worlds import Count, counting_length, counting_reward

COUNTING = EnvsConfig(tasks=("tests.worlds:Counting-v0",))
MAZE = EnvsConfig(tasks=("memory/TMaze-8",))


class Clock(Core):
    """Counts the steps of an episode; rewrites itself as strongly as it has counted far."""

    output_size = 1

    def initial_state(self, batch):
        return (torch.zeros(batch),)

    def count(self, first, state):
        (now,) = state
        counts = []
        for opens in first:
            now = torch.where(opens, 0, now + 1)
            counts.append(now)
        return torch.stack(counts)

    def forward(self, x, first, state):
        counts = self.count(first, state)
        return counts.unsqueeze(-1), (counts[-1],)

    def introspect(self, x, first, state):
        change = torch.stack([self.count(first, state), 10 * x[..., -1]], dim=-1)
        return [FastWeights({"y": change}, *5 * [change], size=2)]


def clock_agent():
    """Return an agent whose value is the step, and whose action is 0 before step 2, then 1."""
    agent = Agent(nn.Identity(), Clock(), num_actions=2).eval()
    with torch.no_grad():
        agent.policy.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        agent.policy.bias.copy_(torch.tensor([1.5, -1.5]))
        agent.value.weight.fill_(1)
        agent.value.bias.zero_()
    return agent


@pytest.mark.parametrize("seed", range(5))
def test_the_first_episode_is_recorded_with_what_answered_each_step(seed):
    """Every reward of Counting is another: a shift by one step would show."""
    world = int(make_env(COUNTING, 1, seed=seed).observe().obs[0, 0])
    length = counting_length(world, 0)
    advanced = []
    trace = record(clock_agent(), COUNTING, seed, lambda: advanced.append(1))
    steps = range(length)
    assert len(advanced) == length
    assert trace.obs.tolist() == [[world, 0, t] for t in steps]
    assert trace.reward.tolist() == [counting_reward(Count(world, 0, t), t >= 2) for t in steps]
    assert trace.value.tolist() == [*steps]
    assert trace.action.tolist() == [int(t >= 2) for t in steps]
    assert trace.logits.tolist() == [[1.5 - t, t - 1.5] for t in steps]
    (change,) = trace.change
    # The second head says what last reward the agent was shown: clipped to 1, none at first.
    assert change.tolist() == [[t, 10 * (t > 0)] for t in steps]


def test_the_rule_picks_the_actions():
    env = make_env(MAZE, 1, seed=1)
    trace = play(clock_agent(), env, rule=lambda logits: logits.argmin(-1))
    assert trace.action.tolist() == [int(t < 2) for t in range(9)]


def test_an_episode_is_left_after_the_most_steps_that_are_wanted():
    whole = record(clock_agent(), MAZE, seed=1)
    env = make_env(MAZE, 1, seed=1)
    start = play(clock_agent(), env, most=4)
    assert len(whole.reward) == 9
    for ours, theirs in zip(start[:5], whole[:5], strict=True):
        assert ours.tolist() == theirs[:4].tolist()


@pytest.mark.parametrize("core", ["srwm", "srwm_no_carry"])
def test_the_changes_are_those_of_the_steps_that_were_played(core):
    """It looks at the whole episode in one go; step by step with a carried state is the same."""
    torch.manual_seed(0)
    small = {"hidden_size": 16, "layers": 2, "heads": 2}
    section = {"encoder": "mlp", "core": core, "precision": "float32", "srwm": small}
    agent = make_agent(AgentConfig.model_validate(section), (4,), 2, unroll_length=5).eval()
    trace = record(agent, MAZE, seed=1)
    assert [change.shape for change in trace.change] == [(9, 2), (9, 2)]
    state = agent.initial_state(1)
    last_reward = torch.zeros(1, 1)
    for t, obs in enumerate(torch.from_numpy(trace.obs)):
        now = obs[None, None], last_reward, torch.tensor([[t == 0]])
        for layer, change in zip(agent.introspect(*now, state), trace.change, strict=True):
            assert layer.change[0, 0].tolist() == pytest.approx(change[t].tolist(), rel=1e-4)
        output, state = agent(*now, state)
        assert output.value.item() == pytest.approx(trace.value[t], abs=1e-5)
        last_reward = torch.full((1, 1), float(trace.reward[t]))


def test_one_task_of_several_is_played_on_the_levels_of_all():
    config = EnvsConfig(tasks=("bigfish", "maze"), start_level=500)
    assert task_config("maze", config) == EnvsConfig(tasks=("maze",), start_level=500)
    with pytest.raises(ValueError, match=r"'mase': did you mean 'maze'\?"):
        task_config("mase", config)
    with pytest.raises(ValueError, match="'pong': use one of bigfish, maze"):
        task_config("pong", config)


# --------------------------------------------------------------------------------- the picture


def example(steps=6, frames=True):
    """Return a trace with two layers, of 2 heads and of 1, and frames of one colour each."""
    rise = np.arange(1, steps + 1, dtype=np.float32)
    reward = np.zeros(steps, np.float32)
    reward[[1, -1]] = 3, -2
    shape = (steps, 8, 8, 3)
    obs = np.broadcast_to((40 * np.arange(steps) % 256).reshape(-1, 1, 1, 1), shape)
    return Trace(
        obs=obs.astype(np.uint8) if frames else np.zeros((steps, 4), np.float32),
        reward=reward,
        value=rise / 10,
        action=np.zeros(steps, np.int64),
        logits=np.zeros((steps, 2), np.float32),
        change=[np.stack([rise, 1000 / rise], axis=1), np.ones((steps, 1), np.float32)],
    )


def maps(figure):
    """Return the heat maps, each [H, T]."""
    titled = [axis for axis in figure.axes if axis.get_title(loc="left").startswith("layer")]
    return [axis.get_images()[0].get_array() for axis in titled]


def test_strengths_are_drawn_in_units_of_each_heads_median():
    first, second = maps(picture(example(steps=5), "title", "note"))
    assert np.allclose(first[0], [1 / 3, 2 / 3, 1, 4 / 3, 5 / 3])
    assert np.allclose(first[1], [3, 3 / 2, 1, 3 / 4, 3 / 5])
    assert np.allclose(second, 1)


def test_the_colours_are_the_same_for_all_layers_and_as_wide_on_both_sides_of_the_median():
    figure = picture(example(steps=5), "title", "note")
    norms = [
        axis.get_images()[0].norm
        for axis in figure.axes
        if axis.get_title(loc="left")[:5] == "layer"
    ]
    assert {(norm.vmin, norm.vmax) for norm in norms} == {(norms[0].vmin, norms[0].vmax)}
    assert norms[0].vmin * norms[0].vmax == pytest.approx(1)
    assert norms[0].vmax == pytest.approx(3, rel=0.05)  # but for the 1 % farthest off


def test_rounding_errors_stay_pale_and_a_head_that_does_nothing_is_drawn_too():
    trace = example()
    still = np.zeros((6, 2), np.float32)
    noise = 1 + 1e-6 * trace.change[0]
    for changes in ([still], [noise]):
        figure = picture(trace._replace(change=changes), "title", "note")
        norm = next(axis.get_images()[0].norm for axis in figure.axes[2:3])
        assert norm.vmax == pytest.approx(LEAST_FACTOR)
        assert np.isfinite(maps(figure)[0]).all()


def test_rewards_are_marked_where_they_were_earned():
    value = picture(example(), "title", "note").axes[1]
    estimate, gained, lost = value.get_lines()
    assert np.allclose(estimate.get_ydata(), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert gained.get_xdata().tolist() == [1]
    assert lost.get_xdata().tolist() == [5]


@pytest.mark.parametrize(
    ("steps", "labels"),
    [
        (3, ["step 0", "step 1", "step 2"]),
        (100, [f"step {10 * i + 5}" for i in range(10)]),
    ],
)
def test_the_strip_shows_the_middles_of_equal_parts(steps, labels):
    trace = example(steps)
    strip = picture(trace, "title", "note").axes[0]
    assert [text.get_text() for text in strip.get_xticklabels()] == labels
    shown = [image.get_array()[0, 0, 0] for image in strip.get_images()]
    assert shown == [trace.obs[int(label.removeprefix("step ")), 0, 0, 0] for label in labels]
    for tick, image in zip(strip.get_xticks(), strip.get_images(), strict=True):
        assert image.get_extent()[0] < tick < image.get_extent()[1]


def test_without_images_there_is_no_strip():
    with_strip, without = (picture(example(frames=f), "title", "note") for f in (True, False))
    assert len(with_strip.axes) == len(without.axes) + 1
    assert with_strip.get_figheight() > without.get_figheight() + 0.5


def test_a_long_episode_is_drawn_in_as_many_columns_as_there_are_pixels():
    values = np.arange(14, dtype=np.float32).reshape(7, 2)
    assert np.array_equal(thin_out(values, 7), values)
    assert np.array_equal(thin_out(values, 100), values)
    assert np.allclose(thin_out(values, 3)[:, 0], [1, 5, 10])  # of 0 2, 4 6, 8 10 12
    assert np.allclose(thin_out(values, 1), values.mean(0))


def test_frames_without_three_colours_are_grey():
    stack = np.arange(2 * 2 * 4, dtype=np.uint8).reshape(2, 2, 4)
    assert rgb(stack)[..., 0].tolist() == rgb(stack)[..., 2].tolist() == [[3, 7], [11, 15]]
    assert rgb(stack[..., :3]) is not None
    assert rgb(stack[..., :3]).tolist() == stack[..., :3].tolist()


# ----------------------------------------------------------------------------------- the video


def decoded(file):
    with av.open(str(file)) as container:
        rate = container.streams.video[0].average_rate
        return rate, [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_the_video_shows_every_frame_and_a_cursor_that_moves(tmp_path):
    trace = example()
    advanced = []
    write_video(film(trace, "title", "note"), tmp_path / "a.mp4", lambda: advanced.append(1))
    rate, shown = decoded(tmp_path / "a.mp4")
    assert (rate, len(shown), len(advanced)) == (FRAMES_PER_SECOND, 6, 6)
    height, width = shown[0].shape[:2]
    assert height % 2 == width % 2 == 0
    # In the middle of the screen, left and some way below the title, is the frame.
    for t, seen in enumerate(shown):
        pixel = seen[int(2.5 * VIDEO_DPI), int(2 * VIDEO_DPI)].astype(int)
        assert abs(pixel - 40 * t).max() <= 6
    # In the time panels the cursor is all that moves, from left to right.
    band = slice(int(height - 1.0 * VIDEO_DPI), int(height - 0.6 * VIDEO_DPI))
    bands = [seen[band].astype(int) for seen in shown]
    moved = [abs(a - b).max(axis=(0, 2)) for a, b in pairwise(bands)]
    ends = [np.flatnonzero(change > 60).max() for change in moved]
    assert ends == sorted(set(ends))


# --------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("given", "written"), [("a.b", "a.b.png"), ("a.png", "a.png"), ("a.mp4", "a.png")]
)
def test_the_command_draws_without_images_and_leaves_the_run_alone(
    given, written, trained_tmaze, tmp_path, capsys
):
    run = copy_run(trained_tmaze, tmp_path / "run")
    there = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    capsys.readouterr()
    assert main("trace", "run", "--task", MAZE.tasks[0], "--out", given) == 0
    printed = capsys.readouterr().out
    assert "in 9 steps" in printed
    assert f"{written} (no images to film)" in printed
    assert imread(tmp_path / written).shape[1] > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == [written, "run"]
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == there


def test_the_command_writes_a_picture_and_a_video_of_the_episode(trained_procgen, tmp_path, capsys):
    arguments = ["--task", "bigfish", "--split", "test1", "--seed", "3", "--out", "a"]
    assert main("trace", str(trained_procgen), *arguments) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "a.png"]
    steps = int(capsys.readouterr().out.split(" in ")[1].split()[0])
    _, shown = decoded(tmp_path / "a.mp4")
    assert len(shown) == steps


@pytest.mark.parametrize("core", ["feedforward", "lstm"])
def test_a_core_without_fast_weights_is_refused_in_one_line(core, tmp_path, capsys):
    train(tmp_path, changed(TMAZE, agent__core=core, total_frames=20), "run")
    capsys.readouterr()
    assert main("trace", "run", "--task", MAZE.tasks[0], "--out", "a") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("srwm: agent.core")
    assert f"{core!r} has no fast weights" in error
    assert not (tmp_path / "a.png").exists()
