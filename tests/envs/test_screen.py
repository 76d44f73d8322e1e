"""What a person sees of an environment."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from envs import EnvsConfig, make_env, make_screen
from envs.faults import EnvFault


class Painted(gymnasium.Env):
    """Shows its step as a colour; pictures of what `draws` says."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode=None, draws=np.uint8):
        self.observation_space = spaces.Box(0, 1, (2,), np.float32)
        self.action_space = spaces.Discrete(3)
        self.actions = ()
        self.render_mode, self.draws, self.step_count = render_mode, draws, 0

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.step_count += 1
        return np.zeros(2, np.float32), 0.0, False, False, {}

    def render(self):
        assert self.render_mode == "rgb_array"
        return np.full((6, 9, 3), 10 * self.step_count, self.draws)

    def get_action_meanings(self):
        return ["NOOP", "FIRE", "UP"]


class Images(gymnasium.Env):
    """Has images as observations, and renders nothing."""

    def __init__(self):
        self.observation_space = spaces.Box(0, 255, (4, 4, 1), np.uint8)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros((4, 4, 1), np.uint8), {}


gymnasium.register("Painted-v0", entry_point=Painted)
gymnasium.register("PaintedInFloats-v0", entry_point=Painted, kwargs={"draws": np.float32})
gymnasium.register("Images-v0", entry_point=Images)


def config(task):
    return EnvsConfig(tasks=(task,))


def test_procgen_is_drawn_large_and_plays_the_same_game():
    easy = EnvsConfig(tasks=("maze",), start_level=37, num_levels=1)
    screen, plain = make_screen(easy, seed=3), make_env(easy, 1, seed=3)
    assert screen.level == 37
    assert len(screen.action_names) == 15
    assert [screen.action_names[i] for i in (0, 4, 9)] == ["left+down", "nothing", "key d"]
    for action in range(6):
        for env in (screen.env, plain):
            env.act(np.array([action]))
        ours, theirs = screen.env.observe(), plain.observe()
        np.testing.assert_array_equal(ours.obs, theirs.obs)
        frame = screen.frame()
        assert frame.shape == (512, 512, 3) and frame.dtype == np.uint8
        # It is the same scene: blocks of 8 x 8 pixels have about the colours of the small one.
        small = frame.reshape(64, 8, 64, 8, 3).mean((1, 3))
        assert np.corrcoef(small.ravel(), ours.obs[0].ravel())[0, 1] > 0.9


def test_an_environment_is_drawn_as_it_renders_itself():
    screen = make_screen(config("Painted-v0"), seed=0)
    assert screen.level is None
    assert screen.action_names == ("noop", "fire", "up")
    for step in (1, 2):
        screen.env.act(np.array([0]))
        assert (screen.frame() == 10 * step).all() and screen.frame().shape == (6, 9, 3)


def test_without_rendering_the_observation_is_all_there_is():
    screen = make_screen(config("Images-v0"), seed=0)
    assert screen.frame is None
    assert screen.action_names == ("action 0", "action 1")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"'memory/TMaze-8' cannot be drawn: .* no images"):
        make_screen(config("memory/TMaze-8"), seed=0)
    with pytest.raises(ValueError, match=r"cannot be drawn: .* float32 \[6, 9, 3\], not uint8"):
        make_screen(config("PaintedInFloats-v0"), seed=0)


def test_a_fault_while_drawing_names_the_task(monkeypatch):
    screen = make_screen(config("Painted-v0"), seed=0)
    monkeypatch.setattr(Painted, "render", lambda self: 1 / 0)
    with pytest.raises(EnvFault, match=r"'Painted-v0': render\(\) raised ZeroDivisionError"):
        screen.frame()
