"""What a worker records, against the counting environment's own rules and a core that counts."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from agents import Agent, AgentConfig, make_agent
from agents.cores import CORES, Core
from envs import EnvsConfig, make_env
from launch.config.source import parse_config
from launch.flow.build import build_worker
from launch.flow.worker import RolloutWorker
from learners import Weights
from tests.worlds import Count, counting_length, counting_reward

T, N, ROLLOUTS = 5, 3, 8
ENVS = EnvsConfig(tasks=("tests.worlds:Counting-v0",))
# Powers of two lose nothing in float32; small, so that both actions are drawn.
UNIT = 2.0**-6


class CountingCore(Core):
    """Counts the steps since the last reset and shows the count, before it counts the step."""

    output_size = 1

    def initial_state(self, batch):
        return (torch.zeros(batch, 1),)

    def forward(self, x, first, state):
        (count,) = state
        shown = []
        for opens in first.unsqueeze(-1):
            count = count.masked_fill(opens, 0)
            shown.append(count)
            count = count + 1
        return torch.stack(shown), (count,)


def counting_agent():
    """Return an agent whose first logit is the count in units."""
    agent = Agent(nn.Identity(), CountingCore(), num_actions=2)
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.zero_()
        agent.policy.weight[0] = UNIT
    return agent


def weights_of(agent, version=0):
    return Weights(version, {k: v.detach().numpy().copy() for k, v in agent.state_dict().items()})


def make_worker(agent, envs=ENVS, sizes=(N,)):
    groups = [make_env(envs, size, seed=100 * i) for i, size in enumerate(sizes, 1)]
    return RolloutWorker(groups, agent, T, seed=2)


@pytest.fixture(scope="module", params=[(3,), (1, 2), (1, 1, 1)], ids=str)
def collected(request):
    agent = counting_agent()
    worker = make_worker(agent, sizes=request.param)
    return [worker.rollout(weights_of(agent, version)) for version in range(ROLLOUTS)]


@pytest.fixture(scope="module")
def rollouts(collected):
    return [rollout for rollout, _ in collected]


def expected(rollouts, env):
    """Play one environment by its rules: (count, reward, first) at each time, from its actions."""
    world = int(rollouts[0].obs[0, env, 0])
    count, reward, first = Count(world, 0, 0), 0.0, True
    played = [(count, reward, first)]
    for action in np.concatenate([rollout.action[:, env] for rollout in rollouts]):
        reward = counting_reward(count, int(action))
        count = count._replace(step=count.step + 1)
        first = count.step == counting_length(world, count.episode)
        if first:
            count = Count(world, count.episode + 1, 0)
        played.append((count, reward, first))
    return played


def test_rollouts_overlap_by_one_observation(rollouts):
    for before, after in itertools.pairwise(rollouts):
        for field in ("obs", "reward", "first"):
            np.testing.assert_array_equal(getattr(before, field)[-1], getattr(after, field)[0])


def test_observations_rewards_and_firsts_belong_together(rollouts):
    worlds = {int(world) for world in rollouts[0].obs[0, :, 0]}
    assert len(worlds) == N  # else a mistaken column would not show
    for env in range(N):
        played = expected(rollouts, env)
        assert sum(first for _, _, first in played) > 4
        for k, rollout in enumerate(rollouts):
            for t in range(T + 1):
                count, reward, first = played[k * T + t]
                assert tuple(rollout.obs[t, env]) == count
                assert rollout.reward[t, env] == reward
                assert rollout.first[t, env] == first


def test_both_actions_are_drawn_and_nothing_else(rollouts):
    actions = np.concatenate([rollout.action for rollout in rollouts])
    assert actions.dtype == np.int64
    assert set(np.unique(actions)) == {0, 1}


def test_logits_are_those_of_the_step_they_are_filed_under(rollouts):
    for rollout in rollouts:
        steps = rollout.obs[:-1, :, 2]
        np.testing.assert_array_equal(rollout.logits[..., 0], UNIT * steps)


def test_the_state_is_the_one_before_the_first_observation(rollouts):
    assert not rollouts[0].state[0].any()
    for k, rollout in enumerate(rollouts[1:], start=1):
        for env in range(N):
            played = expected(rollouts, env)
            before, _, _ = played[k * T - 1]  # the step whose count was carried here
            assert rollout.state[0][env, 0] == before.step + 1
    # At least once the rollout began in the middle of an episode, and once with a new one.
    opens = np.stack([rollout.first[0] for rollout in rollouts[1:]])
    assert opens.any()
    assert not opens.all()


def test_each_rollout_names_the_weights_it_was_played_with(rollouts):
    for version, rollout in enumerate(rollouts):
        np.testing.assert_array_equal(rollout.version, [version] * N)


def test_new_weights_act_from_the_next_rollout_on():
    agent, worker = counting_agent(), make_worker(counting_agent())
    for version, bias in enumerate([0.0, 3.0, -1.0]):
        with torch.no_grad():
            agent.policy.bias[0] = bias
        rollout, _ = worker.rollout(weights_of(agent, version))
        np.testing.assert_array_equal(rollout.logits[..., 0], UNIT * rollout.obs[:-1, :, 2] + bias)
        assert (rollout.version == version).all()


def test_rollouts_do_not_share_memory(rollouts):
    for before, after in itertools.pairwise(rollouts):
        for mine, its in zip(before.arrays(), after.arrays(), strict=True):
            assert not np.shares_memory(mine, its)


def test_each_finished_episode_is_reported_once(collected):
    rollouts = [rollout for rollout, _ in collected]
    found = [[tuple(e) for e in info.episodes] for _, info in collected]
    for k, episodes in enumerate(found):
        wanted = []
        for env in range(N):
            played = expected(rollouts, env)
            opened = [t for t, (_, _, first) in enumerate(played) if first]
            for start, end in itertools.pairwise(opened):
                if k * T < end <= (k + 1) * T:
                    total = sum(reward for _, reward, _ in played[start + 1 : end + 1])
                    wanted.append((env, ENVS.tasks[0], total, end - start))
        assert sorted(episodes) == sorted(wanted)
    assert sum(map(len, found)) > 10


@pytest.mark.parametrize("core", [*CORES])
def test_the_learners_unroll_repeats_the_behaviour_logits(core):
    """At equal weights every importance ratio is 1, across resets and rollout borders."""
    torch.manual_seed(3)
    small = {"hidden_size": 16, "heads": 2}
    config = AgentConfig.model_validate(
        {
            "core": core,
            "precision": "float32",
            "lstm": {"hidden_size": 16},
            "srwm": small,
            "delta": small,
        }
    )
    # The observations of a TMaze are small; those of Counting would drown the state.
    envs = EnvsConfig(tasks=("memory/TMaze-8",))
    agent = make_agent(config, (4,), 2, T)
    worker = make_worker(make_agent(config, (4,), 2, T), envs)
    carried = False
    for version in range(6):
        rollout, _ = worker.rollout(weights_of(agent, version))
        state = tuple(torch.from_numpy(part) for part in rollout.state)
        fields = (rollout.obs, rollout.reward, rollout.first)
        obs, reward, first = (torch.from_numpy(field) for field in fields)
        with torch.no_grad():
            output, _ = agent(obs, reward, first, state)
            fresh, _ = agent(obs, reward, first, agent.initial_state(N))
        chosen = torch.from_numpy(rollout.action).unsqueeze(-1)
        ours = output.logits[:-1].log_softmax(-1).gather(-1, chosen)
        theirs = torch.from_numpy(rollout.logits).log_softmax(-1).gather(-1, chosen)
        torch.testing.assert_close((ours - theirs).exp(), torch.ones(T, N, 1), rtol=0, atol=2e-6)
        carried |= not torch.allclose(fresh.logits, output.logits, atol=1e-5)
    # The comparison would see a state that is not the right one; these carry none over.
    assert carried == (core not in ("feedforward", "fake_srwm", "srwm_no_carry"))


@pytest.mark.parametrize("sizes", [(3,), (2, 1)], ids=str)
def test_a_restored_worker_goes_on_exactly(sizes):
    agent = counting_agent()
    worker = make_worker(agent, sizes=sizes)
    other = make_worker(counting_agent(), sizes=sizes)
    worker.rollout(weights_of(agent))
    saved = worker.save()
    tree = {
        "envs": [torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in saved["envs"]],
        "core": [part.clone() for part in saved["core"]],
        "generator": saved["generator"].clone(),
        "tracker": {k: torch.from_numpy(v.copy()) for k, v in saved["tracker"].items()},
    }
    wanted, wanted_info = worker.rollout(weights_of(agent))
    other.restore(tree)
    found, info = other.rollout(weights_of(agent))
    for mine, its in zip(wanted.arrays(), found.arrays(), strict=True):
        np.testing.assert_array_equal(mine, its)
    assert info.episodes == wanted_info.episodes
    assert info.episodes


def build(index=0, life=0, *overrides):
    tree = {"total_frames": 1, "envs": {"tasks": ["tests.worlds:Counting-v0"]}}
    small = ["launch.envs_per_worker=3", "agent.core=feedforward", *overrides]
    return build_worker(parse_config(tree, small, "test"), index, life)


def test_workers_seeds_and_lives_are_different_luck():
    """Counting's world is its seed; the generator draws the actions."""
    built = [build(), build(index=1), build(life=1), build(0, 0, "seed=1")]
    worlds = {tuple(worker.groups[0].observe().obs[:, 0]) for worker in built}
    draws = {worker.generator.initial_seed() for worker in built}
    assert len(worlds) == len(draws) == len(built)
    again = build()
    assert tuple(again.groups[0].observe().obs[:, 0]) == tuple(
        built[0].groups[0].observe().obs[:, 0]
    )
    assert again.generator.initial_seed() == built[0].generator.initial_seed()


@pytest.mark.parametrize("threads", [0, 1])
def test_workers_share_the_tasks_out_evenly(threads):
    games = ["envs.tasks=[bigfish, maze, heist]", "launch.envs_per_worker=4", "launch.workers=3"]
    games.append(f"envs.threads={threads}")
    workers = [build(index, 0, "agent.encoder=impala_small", *games) for index in range(3)]
    tasks = [task for worker in workers for task in worker.tasks]
    assert tasks == ["bigfish", "maze", "heist"] * 4
    # In two groups, so that one steps while the policy acts for the other.
    assert {len(worker.groups) for worker in workers} == {2 if threads else 1}


class Stepping:
    """A vector environment that notes when it is asked what, and is otherwise the counting one."""

    def __init__(self, number, log):
        self._env = make_env(ENVS, 1, seed=number)
        self.number, self.log = number, log

    def __getattr__(self, name):
        return getattr(self._env, name)

    def act(self, action):
        self.log.append(("act", self.number))
        self._env.act(action)

    def observe(self):
        self.log.append(("observe", self.number))
        return self._env.observe()


def test_a_group_steps_while_the_policy_acts_for_the_other():
    log = []
    agent = counting_agent()
    worker = RolloutWorker([Stepping(1, log), Stepping(2, log)], agent, T, seed=2)
    worker.rollout(weights_of(agent))
    for number, other in ((1, 2), (2, 1)):
        acts = [i for i, entry in enumerate(log) if entry == ("act", number)]
        assert len(acts) == T
        for act in acts[:-1]:
            waits = log.index(("observe", number), act)
            assert ("act", other) in log[act:waits]
