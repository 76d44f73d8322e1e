"""What the learner says of the memory, against means taken by hand and the agent's own words."""

import pytest
import torch
from torch import nn

import learners.learner
from agents import Agent
from agents.cores import Core
from agents.cores.base import FastWeights
from learners import Learner, LearnerConfig, memory_metrics
from tests.learners.test_learner import FRAMES, TOTAL, assert_same, batch_for, network, poison


def layer(**rates):
    """Return two steps of one environment with two heads; every number is another."""
    numbers = torch.arange(4.0).reshape(2, 1, 2)  # head 1: 0 and 2, head 2: 1 and 3
    return FastWeights(
        rates={block: numbers + rate for block, rate in rates.items()},
        change=numbers + 1000,
        shift=numbers + 100,
        key_entropy=numbers + 20,
        query_entropy=numbers + 30,
    )


def test_the_names_say_which_layer_and_head_the_means_are_of():
    assert memory_metrics([layer(y=1, beta=5), layer(beta=7)]) == {
        "memory/layer1/head1/rate_y": 2,
        "memory/layer1/head2/rate_y": 3,
        "memory/layer1/head1/rate_beta": 6,
        "memory/layer1/head2/rate_beta": 7,
        "memory/layer1/head1/shift": 101,
        "memory/layer1/head2/shift": 102,
        "memory/layer1/head1/key_entropy": 21,
        "memory/layer1/head2/key_entropy": 22,
        "memory/layer1/head1/query_entropy": 31,
        "memory/layer1/head2/query_entropy": 32,
        "memory/layer2/head1/rate_beta": 8,
        "memory/layer2/head2/rate_beta": 9,
        "memory/layer2/head1/shift": 101,
        "memory/layer2/head2/shift": 102,
        "memory/layer2/head1/key_entropy": 21,
        "memory/layer2/head2/key_entropy": 22,
        "memory/layer2/head1/query_entropy": 31,
        "memory/layer2/head2/query_entropy": 32,
    }


def test_the_means_are_over_steps_and_environments():
    values = torch.arange(15.0).reshape(3, 5, 1) ** 2
    same = FastWeights({"y": values}, values, values, values, values)
    expected = sum(i * i for i in range(15)) / 15
    assert [*memory_metrics([same]).values()] == pytest.approx(4 * [expected])


def test_a_memory_that_does_not_rewrite_itself_has_nothing_to_report():
    assert memory_metrics([]) == {}


class Mirror(Core):
    """Reports what it is given: as its shift the first two inputs, as its rate the state."""

    output_size = 1

    def initial_state(self, batch):
        return (torch.zeros(batch, 2),)

    def forward(self, x, first, state):
        return x[..., :1], state

    def introspect(self, x, first, state):
        assert not torch.is_grad_enabled()
        rate = state[0].expand(len(x), -1, -1)
        return [FastWeights({"y": rate}, *4 * [x[..., :2]])]


def test_the_learner_looks_at_the_first_environments_of_a_batch(monkeypatch):
    monkeypatch.setattr(learners.learner, "INTROSPECT_ENVS", 2)
    learner = Learner(Agent(nn.Identity(), Mirror(), 4), LearnerConfig(), TOTAL)
    batch = batch_for(network("feedforward"))
    state = torch.tensor([[1.0, 2.0], [5.0, 7.0], [100.0, 100.0]])
    metrics = learner.update(batch._replace(state=(state.numpy(),)))
    assert metrics["memory/layer1/head1/rate_y"] == 3
    assert metrics["memory/layer1/head2/rate_y"] == 4.5
    for head in (0, 1):
        seen = batch.obs[:, :2, head].mean()
        assert metrics[f"memory/layer1/head{head + 1}/shift"] == pytest.approx(seen, abs=1e-6)


def test_it_looks_once_in_so_many_updates_and_that_count_survives_a_resume(monkeypatch):
    monkeypatch.setattr(learners.learner, "INTROSPECT_EVERY", 3)
    learner = Learner(network("srwm"), LearnerConfig(), TOTAL)
    batch = batch_for(learner.agent)
    looked = []
    for update in range(8):
        if update == 4:
            resumed = Learner(network("srwm", seed=5), LearnerConfig(), TOTAL)
            resumed.load(learner.state())
            learner = resumed
        metrics = learner.update(batch)
        looked.append("memory/layer2/head2/query_entropy" in metrics)
    assert looked == [True, False, False, True, False, False, True, False]
    assert learner.frames == 8 * FRAMES


def test_what_it_reports_is_what_the_agent_says_before_the_update():
    agent = network("srwm")
    batch = batch_for(agent)
    arrays = (torch.from_numpy(array) for array in batch[:3])
    state = tuple(torch.from_numpy(array) for array in batch.state)
    said = memory_metrics(agent.introspect(*arrays, state))
    metrics = Learner(agent, LearnerConfig(learning_rate=0.1), TOTAL).update(batch)
    assert {name: x for name, x in metrics.items() if name.startswith("memory/")} == said


def test_looking_changes_nothing(monkeypatch):
    states = []
    for every in (1, 10**9):
        monkeypatch.setattr(learners.learner, "INTROSPECT_EVERY", every)
        torch.manual_seed(3)
        learner = Learner(network("srwm"), LearnerConfig(), TOTAL)
        learner.version = 1  # which is no multiple of the larger
        for seed in range(3):
            learner.update(batch_for(learner.agent, seed))
        states.append(learner.state())
    assert_same(dict(states[0].pop("agent")), dict(states[1].pop("agent")))
    assert_same(*states)


def test_a_batch_that_is_not_finite_is_looked_at_again_with_the_next():
    learner = Learner(network("srwm"), LearnerConfig(), TOTAL)
    batch = batch_for(learner.agent)
    learner.update(poison(batch, "reward"))
    assert "memory/layer1/head1/shift" in learner.update(batch)
