"""An actor's steps, against unrolls of the agent that it acts with."""

import numpy as np
import pytest
import torch
from torch import nn

from agents import Actor, Agent, AgentConfig, greedy, make_agent, sampler
from agents.cores import Core

T, N, A, F = 6, 3, 4, 5


def agent():
    torch.manual_seed(0)
    section = {"encoder": "mlp", "core": "lstm", "precision": "float32"}
    config = AgentConfig.model_validate({**section, "lstm": {"hidden_size": 8}})
    return make_agent(config, (F,), A, unroll_length=T)


def shown(seed=0):
    """Return obs, reward and first of T steps, with episodes that open at 0 and inside."""
    generator = np.random.default_rng(seed)
    first = np.zeros((T, N), np.bool_)
    first[0] = first[2, 1] = first[4, 0] = True
    obs = generator.normal(size=(T, N, F)).astype(np.float32)
    return obs, generator.normal(size=(T, N)).astype(np.float32), first


def test_steps_are_an_unroll_and_the_greedy_action_is_the_most_probable():
    network, (obs, reward, first) = agent(), shown()
    with torch.no_grad():
        inputs = (torch.from_numpy(field) for field in (obs, reward, first))
        wanted, last = network(*inputs, network.initial_state(N))
    actor = Actor(network, N, greedy)
    for t in range(T):
        step = actor.step(obs=obs[t], reward=reward[t], first=first[t])
        assert step.logits.shape == (N, A)
        assert step.action.dtype == np.int64
        np.testing.assert_allclose(step.logits, wanted.logits[t].numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(step.value, wanted.value[t].numpy(), rtol=1e-5, atol=1e-6)
        assert step.action.tolist() == [max(range(A), key=row.__getitem__) for row in step.logits]
    torch.testing.assert_close(actor.state, last, rtol=1e-5, atol=1e-6)
    assert not any(part.requires_grad for part in actor.state)


def test_actions_are_drawn_from_the_logits_that_are_returned_with_them():
    network, (obs, reward, first) = agent(), shown()
    with torch.no_grad():
        network.policy.weight.zero_()
        network.policy.bias.copy_(torch.tensor([0.5, 0.3, 0.15, 0.05]).log())
    draws = 4000
    obs, reward, first = (np.repeat(field[0, :1], draws, 0) for field in (obs, reward, first))
    actor = Actor(network, draws, sampler(torch.Generator().manual_seed(0)))
    counts = np.bincount(actor.step(obs=obs, reward=reward, first=first).action, minlength=A)
    expected = draws * np.array([0.5, 0.3, 0.15, 0.05])
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # 3 degrees of freedom, 0.1 %


def test_actors_that_share_an_agent_keep_their_own_states():
    network, (obs, reward, first) = agent(), shown()
    one, other, alone = (Actor(network, N, greedy) for _ in range(3))
    for t in range(T):
        other.step(obs=obs[-1 - t], reward=reward[t], first=first[t])
        found = one.step(obs=obs[t], reward=reward[t], first=first[t])
        wanted = alone.step(obs=obs[t], reward=reward[t], first=first[t])
        assert np.array_equal(found.logits, wanted.logits)


@pytest.mark.filterwarnings("error")
def test_what_is_shown_may_be_read_only_and_is_not_changed():
    obs, reward, first = (field[0] for field in shown())
    copies = [field.copy() for field in (obs, reward, first)]
    for field in (obs, reward, first):
        field.setflags(write=False)
    Actor(agent(), N, greedy).step(obs=obs, reward=reward, first=first)
    for field, copy in zip((obs, reward, first), copies, strict=True):
        assert np.array_equal(field, copy)


class Nothing(Core):
    output_size = F + 1

    def initial_state(self, batch):
        return ()

    def forward(self, x, first, state):
        return x, state


def test_an_actor_uses_the_statistics_that_were_learnt_and_leaves_them():
    """BatchNorm with a batch of its own would see a mean of 0, whatever it is shown."""
    network = Agent(nn.BatchNorm1d(F, affine=False), Nothing(), num_actions=A)
    network.encoder.running_mean += 1
    with torch.no_grad():
        network.value.weight.copy_(torch.tensor([[1.0] * F + [0.0]]))
        network.value.bias.zero_()
    obs, reward, first = np.full((N, F), 3, np.float32), np.zeros(N, np.float32), np.ones(N, bool)
    before = {name: tensor.clone() for name, tensor in network.encoder.state_dict().items()}
    value = Actor(network, N, greedy).step(obs=obs, reward=reward, first=first).value
    np.testing.assert_allclose(value, [2 * F] * N, rtol=1e-4)
    for name, tensor in network.encoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name
