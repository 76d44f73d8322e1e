"""Gradients that reach back a limited number of steps, against a state detached by hand."""

import pytest
import torch

from agents import AgentConfig, make_agent
from agents.config import LSTMConfig, SRWMConfig, StackConfig
from agents.cores import CORES, unroll

T, B, F = 7, 3, 5
STACK = {"hidden_size": 6, "layers": 2, "heads": 2, "feedforward_factor": 2}
CONFIG = AgentConfig(
    encoder="mlp",
    lstm=LSTMConfig(hidden_size=6),
    srwm=SRWMConfig(**STACK),
    delta=StackConfig(**STACK),
)


def make(name):
    torch.manual_seed(0)
    return CORES[name](CONFIG, F, 5).double()


def problem(core):
    """Return x, first with a reset inside, and a carried state, all but first with gradients."""
    x = torch.randn(2 * T, B, F, dtype=torch.float64)
    first = torch.zeros(2 * T, B, dtype=torch.bool)
    first[T + 4, 1] = True
    _, state = core(x[:T], first[:T], core.initial_state(B))
    state = tuple(tensor.detach().requires_grad_() for tensor in state)
    return x[T:].clone().requires_grad_(), first[T:], state


def by_hand(core, x, first, state, steps):
    """Step by step, the state cut off from its past before every `steps`-th step."""
    outputs = []
    for t in range(T):
        if t and t % steps == 0:
            state = tuple(torch.tensor(tensor.tolist(), dtype=tensor.dtype) for tensor in state)
        y, state = core(x[t : t + 1], first[t : t + 1], state)
        outputs.append(y)
    return torch.cat(outputs), state


def gradients(core, x, state, y):
    cotangent = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    leaves = [*core.parameters(), x, *state]
    return torch.autograd.grad(y, leaves, cotangent, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("bptt", [1, 3, T, 100])
@pytest.mark.parametrize("name", CORES)
def test_gradients_end_where_the_state_is_detached(name, bptt):
    core = make(name)
    x, first, state = problem(core)
    y, last = unroll(core, x, first, state, bptt)
    whole, whole_last = unroll(core, x, first, state, None)
    torch.testing.assert_close((y, last), (whole, whole_last), rtol=1e-12, atol=1e-12)
    expected, _ = by_hand(core, x, first, state, bptt)
    ours = gradients(core, x, state, y)
    torch.testing.assert_close(ours, gradients(core, x, state, expected), rtol=1e-9, atol=1e-11)
    # The test can see a difference: a memory's gradients do reach further back.
    if bptt < T and name not in ("feedforward", "fake_srwm"):
        assert not torch.allclose(
            ours[-1 - len(state)], gradients(core, x, state, whole)[-1 - len(state)]
        )


@pytest.mark.parametrize("bptt", [1, 2, None])
def test_detached_at_each_step_the_srwm_does_not_learn_to_modify_itself(bptt):
    """The paper's code: `y` is read before the update, so only its own rows get a gradient."""
    torch.manual_seed(0)
    stack = SRWMConfig(hidden_size=16, layers=2, heads=2, feedforward_factor=2)
    config = AgentConfig(encoder="mlp", precision="float32", srwm=stack, bptt=bptt)
    agent = make_agent(config, (4,), 3, unroll_length=T)
    obs, reward = torch.randn(T, B, 4), torch.randn(T, B)
    first = torch.zeros(T, B, dtype=torch.bool)
    output, _ = agent(obs, reward, first, agent.initial_state(B))
    (output.logits.square().sum() + output.value.square().sum()).backward()
    for memory in agent.core.memories:
        y, q, k, b = memory.base.grad.split([8, 8, 8, 4], dim=1)
        assert y.any()
        assert [bool(rows.any()) for rows in (q, k, b)] == [bptt != 1] * 3
