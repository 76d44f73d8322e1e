from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from envs import EnvsConfig, EnvSpec, Timestep, env_spec, make_env, require_games, split_config
from envs.procgen_env import ProcgenVectorEnv
from envs.registry import import_procgen
from envs.suites import EXPLORATION_LEVELS, GAMES, MODES, modes_of

EASY = EnvsConfig(tasks=("procgen-easy6",))


def actions(steps, num_envs, seed=0):
    return np.random.default_rng(seed).integers(15, size=(steps, num_envs))


def inside(env) -> Any:
    """ProcGen's own environment, which also knows the levels."""
    return env._env


def saved(env) -> list[bytes]:
    states = env.save()
    assert states is not None
    return states


def play(env, script):
    shown = [env.observe().copy()]
    for action in script:
        env.act(action)
        shown.append(env.observe().copy())
    return shown


def assert_same(one, other):
    for ours, theirs in zip(one, other, strict=True):
        for mine, its in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(mine, its)


def differ(one, other):
    return any((a.obs != b.obs).any() for a, b in zip(one, other, strict=True))


def test_spec_is_what_is_shown():
    env = make_env(EASY, 3, seed=0)
    now = env.observe()
    assert env_spec(EASY) == env.spec == EnvSpec((64, 64, 3), "uint8", 15)
    assert now.obs.shape == (3, 64, 64, 3) and now.obs.dtype == np.dtype("uint8")
    assert now.reward.dtype == np.dtype("float32") and now.first.dtype == np.dtype("bool")
    assert now.first.all() and not now.reward.any()
    assert inside(env).ac_space.eltype.n == env.spec.num_actions


def test_tasks_are_shared_out_evenly_across_workers_of_any_size():
    played = []
    for offset, num_envs in ((0, 5), (5, 5), (10, 1), (11, 7)):
        env = make_env(EASY, num_envs, seed=0, offset=offset)
        # What is really played is in the head of each game's own state.
        games = [next(g for g in GAMES if g.encode() in s[:24]) for s in saved(env)]
        assert tuple(games) == env.tasks
        played += games
    assert played == [*EASY.tasks] * 3


def test_it_plays_as_gym3_does():
    """The same as ProcGen's own interface, given the same games, levels and seed."""
    tasks = ("bigfish", "plunder", "starpilot")
    config = EnvsConfig(tasks=tasks, num_levels=5, start_level=40)
    theirs = import_procgen().ProcgenGym3Env(
        num=6,
        env_name=",".join(tasks),
        distribution_mode="easy",
        num_levels=5,
        start_level=40,
        rand_seed=9,
    )
    mine = ProcgenVectorEnv(config, tasks * 2, seed=9)
    ends = 0
    for action in actions(300, 6):
        mine.act(action)
        theirs.act(action)
        now, (reward, obs, first) = mine.observe(), theirs.observe()
        assert_same([now], [Timestep(obs["rgb"], reward, first)])
        ends += first.sum()
    assert ends > 3


def test_the_last_reward_comes_with_the_next_episodes_first_observation():
    """A maze pays once, for the cheese that ends it: then, and no step sooner or later."""
    env = make_env(EnvsConfig(tasks=("maze",), num_levels=0), 32, seed=0)
    solved = 0
    level = np.array([info["level_seed"] for info in inside(env).get_info()])
    for action in actions(400, 32):
        env.act(action)
        now = env.observe()
        reward, first = now.reward, now.first
        infos = inside(env).get_info()
        complete = first & np.array([info["prev_level_complete"] == 1 for info in infos])
        np.testing.assert_array_equal(reward, np.where(complete, 10, 0))
        seeds = np.array([info["level_seed"] for info in infos])
        np.testing.assert_array_equal(seeds != level, first)
        level = seeds
        solved += complete.sum()
    assert solved > 10


def test_a_seed_decides_all_and_threads_nothing():
    script = actions(100, 6)
    first = play(make_env(EASY, 6, seed=4), script)
    assert_same(first, play(make_env(EASY, 6, seed=4), script))
    threaded = EASY.model_copy(update={"threads": 3})
    assert_same(first, play(make_env(threaded, 6, seed=4), script))
    assert differ(first, play(make_env(EASY, 6, seed=5), script))
    assert differ(first, play(make_env(EASY, 6, seed=4, offset=6), script))


@pytest.mark.parametrize("threads", [0, 3])
def test_the_threads_are_started(threads):
    before = len(os.listdir("/proc/self/task"))
    env = make_env(EnvsConfig(tasks=("maze",), threads=threads), 4, seed=0)
    assert len(os.listdir("/proc/self/task")) == before + threads
    env.close()
    assert len(os.listdir("/proc/self/task")) == before


@pytest.mark.parametrize("suite", ["procgen-easy6", "procgen-memory4"])
@pytest.mark.parametrize("threads", [0, 2])
def test_save_and_restore_are_exact(suite, threads):
    config = EnvsConfig(tasks=(suite,), threads=threads)
    num_envs = 4 * len(config.tasks)
    env, other = make_env(config, num_envs, seed=0), make_env(config, num_envs, seed=1)
    ends = rewards = 0
    play(other, actions(20, num_envs, seed=9))
    for chunk in range(6):
        script = actions(60, num_envs, seed=chunk)
        other.restore(saved(env))
        shown = play(env, script)
        assert_same(shown, play(other, script))
        ends += sum(now.first.sum() for now in shown[1:])
        rewards += sum((now.reward != 0).sum() for now in shown[1:])
    assert ends and rewards


def test_states_of_other_games_are_refused():
    env = make_env(EnvsConfig(tasks=("maze", "heist")), 2, seed=0)
    states = saved(env)
    with pytest.raises(ValueError, match=r"the states are of \['heist', 'maze'\], not of"):
        env.restore(states[::-1])
    with pytest.raises(ValueError, match=r"the states are of \['maze'\], not of"):
        env.restore(states[:1])
    with pytest.raises(ValueError, match=r"the states are of \['\?', 'heist'\]"):
        env.restore([b"", states[1]])


@pytest.mark.parametrize(
    ("split", "levels"),
    [
        ("train", range(200)),
        ("validation", range(500, 700)),
        ("test1", range(1000, 1200)),
        ("test2", range(1200, 1400)),
        ("test3", range(1400, 1600)),
    ],
)
def test_a_split_plays_its_own_levels_alone(split, levels):
    config = split_config(split, EnvsConfig(tasks=("bigfish", "plunder")))
    env = make_env(config, 256, seed=0)
    seen = {int(info["level_seed"]) for info in inside(env).get_info()}
    for action in actions(60, 256):
        env.act(action)
        seen |= {int(info["level_seed"]) for info in inside(env).get_info()}
    assert seen <= set(levels)
    assert len(seen) > 120 and min(seen) < levels[10] and max(seen) > levels[-10]


def test_exploration_plays_its_level():
    env = make_env(EnvsConfig(tasks=("maze",), distribution_mode="exploration"), 2, seed=0)
    theirs = import_procgen().ProcgenGym3Env(
        num=2, env_name="maze", distribution_mode="exploration", rand_seed=0
    )
    np.testing.assert_array_equal(env.observe().obs, theirs.observe()[1]["rgb"])


@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError, AssertionError])
def test_a_library_that_does_not_open_is_told_with_what_to_do(error, monkeypatch):
    def broken(*_, **__):
        raise error("libenv.so: no")

    config = EnvsConfig(tasks=["maze"])
    monkeypatch.setattr(import_procgen(), "ProcgenGym3Env", broken)
    require_games(config)  # opens nothing: that takes memory, which a driver would keep
    with pytest.raises(ValueError, match=r"does not run here \(libenv\.so: no\): pip install"):
        make_env(config, 1, seed=0)


def test_the_tables_are_the_packages():
    module = __import__("procgen.env", fromlist=["env"])
    assert [*GAMES] == module.ENV_NAMES
    assert EXPLORATION_LEVELS == module.EXPLORATION_LEVEL_SEEDS
    assert set(MODES) == set(module.DISTRIBUTION_MODE_DICT)


TRY_ALL = """
import os
from procgen.env import DISTRIBUTION_MODE_DICT, ENV_NAMES, ProcgenGym3Env
loads_the_pictures_once = ProcgenGym3Env(1, "maze", num_threads=0, rand_seed=0)
for game in ENV_NAMES:
    for mode in DISTRIBUTION_MODE_DICT:
        if not (child := os.fork()):
            env = ProcgenGym3Env(1, game, distribution_mode=mode, num_threads=0, rand_seed=0)
            env.observe()
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            print("survived", game, mode, flush=True)
"""


@pytest.mark.slow
def test_the_modes_are_those_that_procgen_survives():
    done = subprocess.run([sys.executable, "-c", TRY_ALL], capture_output=True, text=True)
    assert done.returncode == 0
    words = [line.split() for line in done.stdout.splitlines()]  # ProcGen writes there too
    survived = {tuple(line[1:]) for line in words if line[0] == "survived"}
    assert survived == {(game, mode) for game in GAMES for mode in modes_of(game)}
