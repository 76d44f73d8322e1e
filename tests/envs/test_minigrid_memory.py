"""MiniGrid's memory task as a vector, where MiniGrid is installed."""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest

from envs import EnvsConfig, EnvSpec, env_spec, make_env

NAMES = ["S7", "S9", "S11", "S13", "S13Random", "S17Random"]


def config(name):
    return EnvsConfig(tasks=(f"memory/MiniGrid-{name}",))


@pytest.mark.parametrize("name", NAMES)
def test_without_minigrid_one_line_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "minigrid.envs", None)  # an import fails
    task = f"memory/MiniGrid-{name}"
    with pytest.raises(ValueError) as caught:
        env_spec(config(name))
    assert str(caught.value) == (
        f"task {task!r} cannot be made: it needs MiniGrid: pip install '.[memory]'"
    )


@pytest.fixture(params=NAMES)
def name(request):
    pytest.importorskip("minigrid")
    return request.param


def by_hand(seen):
    """Return the vector of one of MiniGrid's observations, entry by entry."""
    vector = np.zeros(7 * 7 * 20 + 4, np.float32)
    for x in range(7):
        for y in range(7):
            kind, colour, state = (int(code) for code in seen["image"][x, y])
            for code in (kind, 11 + colour, 17 + state):
                vector[(7 * x + y) * 20 + code] = 1
    vector[7 * 7 * 20 + int(seen["direction"])] = 1
    return vector


def test_it_plays_as_minigrid_does(name):
    env = gymnasium.make(f"memory/MiniGrid-{name}").unwrapped
    plain = gymnasium.make(f"minigrid:MiniGrid-Memory{name}-v0").unwrapped
    rng = np.random.default_rng(0)
    ended = 0
    shown, seen = env.reset(seed=3)[0], plain.reset(seed=3)[0]
    for _ in range(1500):
        assert shown.dtype == np.float32
        np.testing.assert_array_equal(shown, by_hand(seen))
        action = rng.integers(3)
        shown, *mine = env.step(action)
        seen, *its = plain.step(action)
        assert mine[:3] == its[:3]
        if mine[1] or mine[2]:
            ended += 1
            shown, seen = env.reset()[0], plain.reset()[0]
    assert ended > 0


def test_the_codes_are_as_many_as_minigrids(name):
    constants = pytest.importorskip("minigrid.core.constants")
    tables = (constants.OBJECT_TO_IDX, constants.COLOR_TO_IDX, constants.STATE_TO_IDX)
    assert [max(table.values()) + 1 for table in tables] == [11, 6, 3]
    assert env_spec(config(name)) == EnvSpec((984,), "float32", 3)


def test_the_object_in_the_room_tells_the_right_end(name):
    """Both objects are at both ends equally often, and the right one is known from the room."""
    env = gymnasium.make(f"memory/MiniGrid-{name}").unwrapped
    cases = set()
    for seed in range(40):
        env.reset(seed=seed)
        grid, height = env.grid_world.grid, env.grid_world.height
        cue = grid.get(1, height // 2 - 1).type
        x, y = env.grid_world.success_pos
        above = y < height // 2
        assert grid.get(x, y - 1 if above else y + 1).type == cue
        cases.add((cue, above))
    assert cases == {("key", True), ("key", False), ("ball", True), ("ball", False)}


@pytest.mark.parametrize("before", [0, 300])
def test_save_and_restore_are_exact(name, before):
    env, other = make_env(config(name), 2, seed=1), make_env(config(name), 2, seed=2)
    rng = np.random.default_rng(0)
    for _ in range(before):
        env.act(rng.integers(3, size=2))
    states = env.save()
    assert states is not None
    other.restore(states)
    for _ in range(300):
        for name in ("obs", "reward", "first"):
            mine, its = getattr(env.observe(), name), getattr(other.observe(), name)
            np.testing.assert_array_equal(mine, its)
        action = rng.integers(3, size=2)
        env.act(action)
        other.act(action)


def test_popgyms_tasks_are_named_with_their_module():
    pytest.importorskip("popgym")
    task = "popgym:popgym-PositionOnlyCartPoleEasy-v0"
    assert env_spec(EnvsConfig(tasks=(task,))) == EnvSpec((2,), "float32", 2)
    # A Tuple of Discrete spaces.
    task = "popgym:popgym-AutoencodeEasy-v0"
    env = make_env(EnvsConfig(tasks=(task,)), 3, seed=0)
    env.act(np.array([0, 1, 3]))
    assert env.observe().obs.sum(-1).tolist() == [2, 2, 2]


def test_without_popgym_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "popgym", raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ValueError, match=r"'popgym': .*: pip install '\.\[memory\]'"):
        EnvsConfig(tasks=("popgym:popgym-RepeatFirstEasy-v0",))
