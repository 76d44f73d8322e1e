"""Truncated episodes from the environment to the learner: the value of what they stopped at."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import AgentConfig, make_agent
from envs import EnvsConfig, make_env
from launch.config.source import parse_config
from launch.flow.build import build_agent, build_worker
from launch.flow.worker import RolloutWorker
from learners import Learner, Weights
from tests.launch.flow.test_worker import (
    ENVS,
    ROLLOUTS,
    N,
    T,
    counting_agent,
    expected,
    weights_of,
)

BIAS = 0.25


def valuing_agent(bias=BIAS):
    """Return an agent whose value is the number of steps since the last reset, and a bias."""
    agent = counting_agent()
    with torch.no_grad():
        agent.value.weight[0] = 1
        agent.value.bias[0] = bias
    return agent


@pytest.mark.parametrize("sizes", [(3,), (1, 2)], ids=str)
def test_each_truncated_episode_gets_the_value_of_its_last_observation(sizes):
    """Counting: every second episode is truncated. Each rollout is played with other weights."""
    groups = [make_env(ENVS, size, seed=100 * i) for i, size in enumerate(sizes, 1)]
    worker = RolloutWorker(groups, valuing_agent(), T, seed=2)
    rollouts = [worker.rollout(weights_of(valuing_agent(k), k))[0] for k in range(ROLLOUTS)]
    steps = set()
    for env in range(N):
        played = expected(rollouts, env)
        for k, rollout in enumerate(rollouts):
            for t in range(T):
                count, _, _ = played[k * T + t]
                cut = played[k * T + t + 1][2] and count.episode % 2 == 1
                assert rollout.final_value[t, env] == (count.step + 1 + k if cut else 0)
                steps |= {t} if cut else set()
    assert {0, T - 1} <= steps  # at the first and at the last step of a rollout, too
    assert worker.rollout(weights_of(valuing_agent(9), 9))[0].final_value.dtype == np.float32


class Endings(gymnasium.Env):
    """Episodes that end as is written: after how many steps, and how.

    It shows the step of the episode, and which world it is: from its seed.
    """

    SCRIPT = ((3, "truncated"), (1, "truncated"), (2, "terminated"), (2, "both"), (1, "truncated"))

    def __init__(self):
        self.observation_space = spaces.Box(0, 9, (2,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.world, self.episode, self.steps = 0, -1, 0

    def reset(self, *, seed=None, options=None):
        self.world = self.world if seed is None else seed % 4096 / 512
        self.episode, self.steps = self.episode + 1, 0
        return np.array([0, self.world], np.float32), {}

    def step(self, action):
        self.steps += 1
        length, how = self.SCRIPT[self.episode % len(self.SCRIPT)]
        over = self.steps == length
        ends = over and how != "truncated", over and how != "terminated"
        return np.array([self.steps, self.world], np.float32), 0.25 * self.steps, *ends, {}


gymnasium.register("Endings-v0", entry_point="tests.launch.flow.test_time_limits:Endings")
ENDINGS = EnvsConfig(tasks=("tests.launch.flow.test_time_limits:Endings-v0",))


def test_at_the_border_of_rollouts_a_value_belongs_to_the_step_that_ended():
    worker = RolloutWorker([make_env(ENDINGS, 2, seed=0)], valuing_agent(), 3, seed=2)
    rollouts = [worker.rollout(weights_of(valuing_agent()))[0] for _ in range(3)]
    # Truncated after 3 steps, which a rollout ends with; after the next one; then terminated; then
    # both, which is over; and truncated again after one step.
    for column in range(2):
        found = [rollout.final_value[:, column].tolist() for rollout in rollouts]
        assert found == [[0, 0, 3 + BIAS], [1 + BIAS, 0, 0], [0, 0, 1 + BIAS]]


def lstm_agent():
    torch.manual_seed(4)
    section = {"encoder": "mlp", "core": "lstm", "precision": "float32"}
    config = AgentConfig.model_validate({**section, "lstm": {"hidden_size": 16}})
    return make_agent(config, (2,), 2, 2)


@pytest.fixture(scope="module")
def of_an_lstm():
    """Return 9 rollouts of 2 steps: twice the script, whose longest episode is in two rollouts."""
    worker = RolloutWorker([make_env(ENDINGS, 2, seed=0)], lstm_agent(), 2, seed=2)
    return [worker.rollout(weights_of(lstm_agent()))[0] for _ in range(9)]


def test_the_value_is_that_of_an_unroll_over_the_whole_episode(of_an_lstm):
    """Its state was carried over rollouts; its reward is the one that came with the last action."""
    agent, found, wanted = lstm_agent(), [], []
    for env in range(2):
        world = of_an_lstm[0].obs[0, env, 1]
        final_value = np.concatenate([rollout.final_value[:, env] for rollout in of_an_lstm])
        for end, steps in zip((3, 4, 9, 12, 13, 18), (3, 1, 1, 3, 1, 1), strict=True):
            obs = np.array([[step, world] for step in range(steps + 1)], np.float32)
            reward = np.array([0.0, 0.25, 0.5, 0.75][: steps + 1], np.float32)
            first = np.arange(steps + 1) == 0
            unroll = (torch.from_numpy(field)[:, None] for field in (obs, reward, first))
            with torch.no_grad():
                output, _ = agent(*unroll, agent.initial_state(1))
            wanted.append(output.value[-1].item())
            found.append(final_value[end - 1])
        assert np.count_nonzero(final_value) == 6
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    # Of the two lengths and the two worlds, all differ by more than would be overlooked.
    assert len(set(np.round(wanted, 4))) == 4


def test_acting_goes_on_as_if_no_value_had_been_asked_for(of_an_lstm, monkeypatch):
    """Neither the carried state nor the generator of actions moves."""
    monkeypatch.setattr("agents.Actor.value", lambda self, obs, reward, envs: 0.0)
    worker = RolloutWorker([make_env(ENDINGS, 2, seed=0)], lstm_agent(), 2, seed=2)
    for wanted in of_an_lstm:
        found, _ = worker.rollout(weights_of(lstm_agent()))
        assert not found.final_value.any()
        same = found._replace(final_value=wanted.final_value)
        for mine, its in zip(same.arrays(), wanted.arrays(), strict=True):
            np.testing.assert_array_equal(mine, its)
    assert any(rollout.final_value.any() for rollout in of_an_lstm)


def learnt(config, rollout):
    """Return the weights after an update from a rollout."""
    learner = Learner(build_agent(config, "cpu"), config.learner, config.total_frames)
    learner.update(rollout)
    return learner.weights().state_dict


@pytest.mark.parametrize("game", ["dodgeball", "Counting"])
def test_only_where_episodes_are_truncated_does_the_key_matter(game):
    """ProcGen truncates nothing, and learns the same to the bit."""
    small = ["launch.envs_per_worker=2", "learner.unroll_length=8", "agent.lstm.hidden_size=8"]
    small.append("agent.core=lstm")
    if game == "dodgeball":
        tree = {"envs": {"tasks": ["dodgeball"]}, "agent": {"encoder": "impala_small"}}
    else:
        tree = {"envs": {"tasks": list(ENVS.tasks)}}
    on, off = (
        parse_config({"total_frames": 1000, **tree}, [*small, f"learner.{key}"], "test")
        for key in ("bootstrap_time_limits=true", "bootstrap_time_limits=false")
    )
    worker = build_worker(on, 0, 0)
    weights = Weights(0, {k: v.numpy() for k, v in build_agent(on, "cpu").state_dict().items()})
    wanted = "first" if game == "dodgeball" else "final_value"
    rollout = worker.rollout(weights)[0]
    while not getattr(rollout, wanted)[1:].any():
        rollout = worker.rollout(weights)[0]
    worker.close()
    mine, its = learnt(on, rollout), learnt(off, rollout)
    same = [np.array_equal(mine[name], its[name]) for name in mine]
    assert all(same) if game == "dodgeball" else not any(same)
