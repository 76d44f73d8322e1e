from __future__ import annotations

from typing import Any

import gym
import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import RecordEpisodeStatistics

from envs import EnvsConfig, EnvSpec, EpisodeTracker, env_spec, make_env
from envs.memory import TMaze
from envs.registry import OLD_GYM
from tests.worlds import Count, counting_length, counting_reward

COUNTING = EnvsConfig(tasks=("tests.worlds:Counting-v0",))
TMAZE = EnvsConfig(tasks=("memory/TMaze-8",))

gymnasium.register("Limited-v0", entry_point="envs.memory:TMaze", max_episode_steps=5)
gymnasium.register(
    "Wrapped-v0",
    entry_point="envs.memory:TMaze",
    additional_wrappers=(RecordEpisodeStatistics.wrapper_spec(),),
)
gymnasium.register("Old-v0", entry_point="tests.envs.test_gym_env:OldAPI")
gymnasium.register("Picture-v0", entry_point="tests.envs.test_gym_env:Picture")


class OldAPI(TMaze):
    def reset(self):  # type: ignore[override]
        return np.zeros(4, np.float32)


class Picture(gymnasium.Env):
    """Its observation is a picture of the last action; its actions are numbered from 3."""

    def __init__(self):
        self.observation_space = gymnasium.spaces.Box(0, 255, (4, 6, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(2, start=3)

    def reset(self, *, seed=None, options=None):
        return np.zeros((4, 6, 3), np.uint8), {}

    def step(self, action):
        return np.full((4, 6, 3), action, np.uint8), 0.0, False, False, {}


def shows(space_of, value, api, name, actions_of=lambda s: s.Discrete(2)):
    """Register an environment in `api` which shows `value` of a space all the time."""

    def make_it():
        env = api.Env()
        env.observation_space, env.action_space = space_of(api.spaces), actions_of(api.spaces)
        env.reset = lambda *, seed=None, options=None: (value, {})
        env.step = lambda action: (value, 0.0, False, False, {})
        return env

    api.register(f"Shows-{name}-v0", entry_point=make_it)
    return EnvsConfig(tasks=((OLD_GYM if api is gym else "") + f"Shows-{name}-v0",))


def counts(now):
    return [Count(*(int(value) for value in row)) for row in now.obs]


def assert_same(one, other):
    for name in ("obs", "reward", "first"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_equal(one.final, other.final)


def saved(env) -> list[bytes]:
    states = env.save()
    assert states is not None
    return states


def play(env, steps, seed=0):
    rng = np.random.default_rng(seed)
    shown = [env.observe().copy()]
    for _ in range(steps):
        env.act(rng.integers(env.spec.num_actions, size=env.num_envs))
        shown.append(env.observe().copy())
    return shown


def test_obs_reward_and_first_are_aligned_and_episodes_add_up():
    env = make_env(COUNTING, 6, seed=3)
    tracker = EpisodeTracker(env.tasks)
    now = counts(env.observe())
    assert all((count.episode, count.step) == (0, 0) for count in now)
    assert len({count.world for count in now}) == 6
    assert env.observe().first.all() and not env.observe().reward.any()

    rng = np.random.default_rng(0)
    earned: list[list[float]] = [[] for _ in range(6)]
    ended = 0
    for _ in range(60):
        action = rng.integers(2, size=6)
        env.act(action)
        after = env.observe().copy()
        assert_same(after, env.observe())
        expected, episodes = [], []
        for i, count in enumerate(now):
            earned[i].append(counting_reward(count, int(action[i])))
            assert after.reward[i] == earned[i][-1]
            over = count.step + 1 == counting_length(count.world, count.episode)
            assert after.first[i] == over
            if over:
                expected.append(Count(count.world, count.episode + 1, 0))
                episodes.append((i, env.tasks[i], sum(earned[i]), count.step + 1))
                earned[i] = []
            else:
                expected.append(count._replace(step=count.step + 1))
        assert counts(after) == expected
        assert tracker.step(after.reward, after.first) == episodes
        ended += len(episodes)
        now = expected
    assert ended > 60


def test_a_seed_and_an_index_make_an_environment():
    whole = play(make_env(TMAZE, 8, seed=5), 40)
    assert_same(whole[-1], play(make_env(TMAZE, 8, seed=5), 40)[-1])
    worlds = counts(make_env(COUNTING, 6, seed=5).observe())
    assert counts(make_env(COUNTING, 2, seed=5, offset=4).observe()) == worlds[4:]
    assert not set(counts(make_env(COUNTING, 6, seed=6).observe())) & set(worlds)


def test_tasks_take_turns():
    config = EnvsConfig(tasks=("CartPole-v1", "gym:CartPole-v1", "Limited-v0"))
    assert make_env(config, 4, seed=0, offset=2).tasks == (
        "Limited-v0",
        "CartPole-v1",
        "gym:CartPole-v1",
        "Limited-v0",
    )


@pytest.mark.parametrize(
    "task", ["tests.worlds:Counting-v0", "memory/TMaze-8", "memory/Recall-30", "Limited-v0"]
)
@pytest.mark.parametrize("before", [0, 3, 5, 22])
def test_save_and_restore_are_exact(task, before):
    config = EnvsConfig(tasks=(task,))
    env, other = make_env(config, 3, seed=1), make_env(config, 3, seed=2)
    play(env, before)
    play(other, 10)  # where a limit of 5 steps truncates
    other.restore(saved(env))
    (mine, *ours), (its, *theirs) = play(env, 40), play(other, 40)
    assert_same(mine._replace(final={}), its)  # who saved has seen what was truncated
    for mine, its in zip(ours, theirs, strict=True):
        assert_same(mine, its)


def test_a_time_limit_ends_an_episode():
    shown = play(make_env(EnvsConfig(tasks=("Limited-v0",)), 1, seed=0), 15)
    assert [t for t, now in enumerate(shown) if now.first[0]] == [0, 5, 10, 15]
    assert [t for t, now in enumerate(shown) if now.final] == [5, 10, 15]


class Ends(gymnasium.Env):
    """Episodes of two steps: the first terminates, the second is truncated, the third does both.

    It draws all of its observations, the number of the step since the start, into one picture.
    """

    def __init__(self):
        self.observation_space = gymnasium.spaces.Box(0, 255, (2, 2, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.picture, self.episode, self.left = np.zeros((2, 2, 3), np.uint8), -1, 0

    def reset(self, *, seed=None, options=None):
        self.episode, self.left = self.episode + 1, 2
        self.picture += 1
        return self.picture, {}

    def step(self, action):
        self.left -= 1
        self.picture += 1
        over, kind = self.left == 0, self.episode % 3
        return self.picture, 0.0, over and kind != 1, over and kind != 0, {}


gymnasium.register("Ends-v0", entry_point="tests.envs.test_gym_env:Ends")


def test_the_last_observation_of_a_truncated_episode_is_shown_and_no_other():
    shown = play(make_env(EnvsConfig(tasks=("Ends-v0",)), 2, seed=0), 12)
    assert [t for t, now in enumerate(shown) if now.first.all()] == [0, 2, 4, 6, 8, 10, 12]
    # Three observations an episode: the second ends with the sixth, the fifth with the fifteenth.
    found = {t: {i: obs.tolist() for i, obs in now.final.items()} for t, now in enumerate(shown)}
    sixth, fifteenth = (np.full((2, 2, 3), count).tolist() for count in (6, 15))
    wanted = {4: {0: sixth, 1: sixth}, 10: {0: fifteenth, 1: fifteenth}}
    assert found == {t: wanted.get(t, {}) for t in range(13)}
    assert shown[4].final[0].dtype == np.uint8


def test_each_environment_shows_its_own_last_observation():
    """Counting: every second episode is truncated, when is another matter in each world."""
    env, alone = make_env(COUNTING, 3, seed=3), set()
    before = counts(env.observe())
    for _ in range(60):
        env.act(np.zeros(3, np.int64))
        now = env.observe()
        for i, count in enumerate(before):
            cut = now.first[i] and count.episode % 2 == 1
            assert (i in now.final) == cut
            if cut:
                assert now.final[i].tolist() == [*count._replace(step=count.step + 1)]
                assert now.final[i].dtype == np.float32
        alone |= {*now.final} if len(now.final) == 1 else set()
        before = counts(now)
    assert alone == {0, 1, 2}


@pytest.mark.parametrize("task", ["CartPole-v1", "Wrapped-v0"])
def test_what_cannot_be_saved_says_so(task):
    assert make_env(EnvsConfig(tasks=(task,)), 2, seed=0).save() is None


def test_foreign_states_are_refused():
    env = make_env(TMAZE, 2, seed=0)
    states = saved(env)
    with pytest.raises(ValueError, match="1 states do not go with 2 environments"):
        env.restore(states[:1])
    with pytest.raises(ValueError, match="state 1 has 3 bytes"):
        env.restore([states[0], b"abc"])
    with pytest.raises(ValueError, match="time limit"):
        make_env(EnvsConfig(tasks=("Limited-v0",)), 2, seed=0).restore(states)


@pytest.mark.parametrize("task", ["CartPole-v1", "gym:CartPole-v1"])
def test_both_gyms_play_as_they_do_alone(task):
    """The same as stepping one environment by hand from its recorded first observation."""
    env = make_env(EnvsConfig(tasks=(task,)), 1, seed=4)
    alone: Any = gymnasium.make("CartPole-v1").unwrapped
    alone.reset(seed=0)
    alone.state = env.observe().obs[0].astype(np.float64)
    for t in range(200):
        env.act(np.array([t % 3 == 0]))
        obs, _, over, _, _ = alone.step(int(t % 3 == 0))
        now = env.observe()
        assert (now.first[0], now.reward[0]) == (over, 1)
        if over:
            break
        np.testing.assert_allclose(now.obs[0], obs, atol=1e-5)
    assert over and t > 5


def test_pictures_stay_bytes_and_actions_start_at_0():
    config = EnvsConfig(tasks=("Picture-v0",))
    env = make_env(config, 2, seed=0)
    assert env_spec(config) == env.spec == EnvSpec((4, 6, 3), "uint8", 2)
    assert env.spec.observation_bytes == 72
    env.act(np.array([0, 1]))
    obs = env.observe().obs
    assert obs.dtype == np.uint8 and (obs[0] == 3).all() and (obs[1] == 4).all()


# From a name to a space, a value of it, and the vector that the agent gets.
SPACES = {
    "Discrete": (lambda s: s.Discrete(3), 2, [0, 0, 1]),
    "Discrete-from-5": (lambda s: s.Discrete(3, start=5), 6, [0, 1, 0]),
    "MultiDiscrete": (lambda s: s.MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
    "MultiBinary": (lambda s: s.MultiBinary(3), np.array([1, 0, 1], np.int8), [1, 0, 1]),
    "Box": (
        lambda s: s.Box(-1, 1, (2, 3), np.float64),
        np.array([[0.5, -1, 0], [1, 0.25, -0.5]]),
        [0.5, -1, 0, 1, 0.25, -0.5],
    ),
    "Tuple": (
        lambda s: s.Tuple((s.Discrete(2), s.Box(0, 9, (2,), np.float32))),
        (0, np.array([7, 0.5], np.float32)),
        [1, 0, 7, 0.5],
    ),
    "Dict": (  # its parts in the order of their names
        lambda s: s.Dict(
            {
                "b": s.Dict({"y": s.MultiBinary(2), "x": s.Discrete(2)}),
                "c": s.Tuple((s.MultiDiscrete([2, 2]), s.Discrete(2, start=-1))),
                "a": s.Box(0, 1, (2, 1), np.float32),
            }
        ),
        {
            "a": np.array([[0.25], [0.5]], np.float32),
            "b": {"x": 1, "y": np.array([1, 1], np.int8)},
            "c": (np.array([1, 0]), -1),
        },
        [0.25, 0.5, 0, 1, 1, 1, 0, 1, 1, 0, 1, 0],
    ),
}


@pytest.mark.parametrize("api", [gymnasium, gym], ids=["gymnasium", "gym"])
@pytest.mark.parametrize("name", SPACES)
def test_what_is_no_image_becomes_a_vector(name, api):
    space_of, value, vector = SPACES[name]
    config = shows(space_of, value, api, name)
    env = make_env(config, 2, seed=0)
    assert env_spec(config) == env.spec == EnvSpec((len(vector),), "float32", 2)
    assert env.observe().obs.dtype == np.float32
    assert env.observe().obs.tolist() == [vector, vector]
    env.observe().obs.fill(9)
    env.act(np.array([0, 1]))
    assert env.observe().obs.tolist() == [vector, vector]


@pytest.mark.parametrize("task", ["FrozenLake-v1", "gym:FrozenLake-v1"])
def test_a_frozen_lake_is_walked(task):
    """On slippery ice the field is known from the observation alone: one of 16."""
    env = make_env(EnvsConfig(tasks=(task,)), 3, seed=0)
    assert env.spec == EnvSpec((16,), "float32", 4)
    fields = set()
    for now in play(env, 50):
        assert now.obs.sum(-1).tolist() == [1, 1, 1]
        assert (now.obs[now.first, 0] == 1).all()
        fields |= {*now.obs.argmax(-1).tolist()}
    assert len(fields) > 5


@pytest.mark.parametrize("api", [gymnasium, gym], ids=["gymnasium", "gym"])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "nested"])
@pytest.mark.parametrize(
    ("name", "space_of"),
    [
        ("Text", lambda s: s.Text(5)),
        ("Graph", lambda s: s.Graph(s.Discrete(2), None)),
        ("Sequence", lambda s: s.Sequence(s.Discrete(2))),
    ],
)
def test_what_is_no_vector_is_refused_in_one_line(name, space_of, nested, api):
    def whole(s):
        return s.Dict({"a": s.Discrete(2), "b": s.Tuple((space_of(s),))}) if nested else space_of(s)

    config = shows(whole, None, api, f"{name}{nested}")
    with pytest.raises(ValueError) as caught:
        make_env(config, 1, seed=0)
    start, end = str(caught.value).split("Tuple and Dict spaces, not of ")
    assert start == (
        f"task {config.tasks[0]!r}: observations must be uint8 images [H, W, C], or made of Box, "
        "Discrete, MultiDiscrete, MultiBinary, "
    )
    assert end.startswith(name) and "\n" not in end


def test_a_long_space_is_named_in_one_line():
    config = shows(
        lambda s: s.Discrete(2), 0, gymnasium, "Long", lambda s: s.MultiDiscrete([9] * 80)
    )
    with pytest.raises(ValueError, match=r"actions must be Discrete, not MultiDiscrete.*\]\)$"):
        env_spec(config)


def test_spec_of_vectors():
    assert env_spec(TMAZE) == make_env(TMAZE, 1, seed=0).spec == EnvSpec((4,), "float32", 2)
    assert env_spec(EnvsConfig(tasks=("gym:CartPole-v1",))) == EnvSpec((4,), "float32", 2)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["Pendulum-v1"], r"task 'Pendulum-v1': actions must be Discrete, not Box\(-2"),
        (["Old-v0"], "task 'Old-v0' has the API of gym before 0.26"),
        (
            ["CartPole-v1", "Acrobot-v1"],
            r"tasks 'CartPole-v1' and 'Acrobot-v1' do not go together: observation_shape is \(4,\)",
        ),
    ],
)
def test_what_cannot_be_played_is_refused(tasks, message):
    config = EnvsConfig(tasks=tasks)
    with pytest.raises(ValueError, match=message):
        env_spec(config)
    with pytest.raises(ValueError, match=message):
        make_env(config, 2, seed=0)


def test_a_missing_dependency_is_one_line():
    gymnasium.register("Broken-v0", entry_point="no_such_module:Env")
    with pytest.raises(ValueError, match=r"task 'Broken-v0' cannot be made: .*no_such_module"):
        env_spec(EnvsConfig(tasks=("Broken-v0",)))
