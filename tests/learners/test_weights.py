"""Weights are parameters and buffers: a network with BatchNorm, whose buffers are statistics."""

import numpy as np
import pytest
import torch
from torch import nn

from agents import Agent, AgentConfig
from agents.cores import CORES
from learners import Learner, LearnerConfig, checkpoint, load_agent
from tests.learners.impala.test_learner import TOTAL, A, N, T, assert_same, poison, rollout

F = 7
BUFFERS = ("encoder.running_mean", "encoder.running_var", "encoder.num_batches_tracked")


def network(seed=0):
    torch.manual_seed(seed)
    small = {"hidden_size": 8, "layers": 1, "heads": 2, "feedforward_factor": 2}
    config = AgentConfig.model_validate({"srwm": small})
    return Agent(nn.BatchNorm1d(F), CORES["srwm"](config, F + 1, T), A)


def batch_for(agent, seed=0):
    return rollout((F,), tuple(part.numpy() for part in agent.initial_state(N)), seed)


def test_the_statistics_of_every_update_are_learnt_once_and_reach_a_worker():
    """The first update also reports on the memory of a few environments: that does not count."""
    agent, acting = network(), network(seed=1).eval()
    learner = Learner(agent, LearnerConfig(), TOTAL)
    batch = batch_for(agent)
    metrics = learner.update(batch)
    assert any(name.startswith("memory/") for name in metrics)
    assert agent.training
    weights = learner.weights()
    assert weights.state_dict.keys() == agent.state_dict().keys()
    frames = batch.obs.reshape(-1, F)
    assert weights.state_dict["encoder.num_batches_tracked"] == 1
    np.testing.assert_allclose(
        weights.state_dict["encoder.running_mean"], 0.1 * frames.mean(0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        weights.state_dict["encoder.running_var"], 0.9 + 0.1 * frames.var(0, ddof=1), rtol=1e-4
    )
    load_agent(acting, weights.state_dict)
    assert_same(dict(acting.state_dict()), dict(agent.state_dict()))
    learner.update(batch_for(agent, seed=1))
    assert weights.state_dict["encoder.num_batches_tracked"] == 1  # a copy


@pytest.mark.parametrize("field", ["obs", "reward"])
def test_a_batch_that_is_not_finite_leaves_the_statistics(field):
    agent = network()
    learner = Learner(agent, LearnerConfig(), TOTAL)
    learner.update(batch_for(agent))
    before = learner.weights().state_dict
    learner.update(poison(batch_for(agent, seed=1), field))
    assert learner.skipped == 1
    assert_same(learner.weights().state_dict, before)


def test_the_statistics_are_saved_and_resumed(tmp_path):
    learner = Learner(network(), LearnerConfig(), TOTAL)
    for seed in range(2):
        learner.update(batch_for(learner.agent, seed))
    checkpoint.save(tmp_path / "1", learner.state())
    resumed = Learner(network(seed=1), LearnerConfig(), TOTAL)
    resumed.load(checkpoint.load(tmp_path / "1"))
    for each in (learner, resumed):
        each.update(batch_for(learner.agent, seed=2))
    assert resumed.weights().state_dict["encoder.num_batches_tracked"] == 3
    assert_same(resumed.weights().state_dict, learner.weights().state_dict)


@pytest.mark.parametrize("name", BUFFERS)
def test_a_network_without_the_statistics_is_another_network(name):
    state_dict = dict(network().state_dict())
    del state_dict[name]
    with pytest.raises(ValueError, match=rf"another network: {name} is absent there"):
        load_agent(network(), state_dict)
