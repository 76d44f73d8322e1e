"""The losses, against values and gradients derived by hand."""

import math

import numpy as np
import pytest
import torch

from learners.impala.losses import entropy, policy_gradient_loss, standardise, value_loss
from tests.learners.truth import softmax

T, B, A = 4, 3, 5


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(T, B, A, generator=generator, dtype=torch.float64).requires_grad_()


def test_policy_gradient(logits):
    """d/dlogits of -advantage * log softmax(logits)[action] is advantage * (softmax - onehot)."""
    generator = torch.Generator().manual_seed(1)
    actions = torch.randint(A, (T, B), generator=generator)
    advantages = torch.randn(T, B, generator=generator, dtype=torch.float64).requires_grad_()
    loss = policy_gradient_loss(logits.log_softmax(-1), actions, advantages)
    loss.backward()
    assert logits.grad is not None
    expected = 0.0
    for t in range(T):
        for b in range(B):
            pi = softmax(logits[t, b].detach().numpy())
            advantage, action = advantages[t, b].item(), int(actions[t, b])
            expected -= advantage * math.log(pi[action])
            gradient = advantage * (pi - np.eye(A)[action])
            np.testing.assert_allclose(logits.grad[t, b].numpy(), gradient, rtol=1e-10, atol=1e-14)
    assert loss.item() == pytest.approx(expected)
    assert advantages.grad is None


def test_value():
    """d/dV of 1/2 (target - V)^2 is V - target."""
    values = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    targets = torch.tensor([[0.0, 1.0], [0.5, 2.0]], requires_grad=True)
    loss = value_loss(values, targets)
    loss.backward()
    assert loss.item() == (1 + 9 + 0 + 1) / 2
    assert values.grad is not None
    assert values.grad.tolist() == [[1, -3], [0, 1]]
    assert targets.grad is None


def test_entropy(logits):
    """d/dlogit_j of H is -p_j (log p_j + H)."""
    total = entropy(logits.log_softmax(-1))
    total.backward()
    assert logits.grad is not None
    expected = 0.0
    for t in range(T):
        for b in range(B):
            pi = softmax(logits[t, b].detach().numpy())
            h = -sum(p * math.log(p) for p in pi)
            expected += h
            gradient = [-p * (math.log(p) + h) for p in pi]
            np.testing.assert_allclose(logits.grad[t, b].numpy(), gradient, rtol=1e-10, atol=1e-14)
    assert total.item() == pytest.approx(expected)


def test_entropy_of_a_uniform_policy_is_log_a_a_step():
    assert entropy(torch.zeros(T, B, A).log_softmax(-1)).item() == pytest.approx(
        T * B * math.log(A), rel=1e-6
    )


@pytest.mark.parametrize("gap", [50.0, 200.0, 1e4])
def test_entropy_of_a_decided_policy_is_finite(gap):
    """Probabilities that underflow to 0 in float32 must not become 0 * -inf."""
    logits = torch.tensor([[[gap, 0.0, 0.0]]], requires_grad=True)
    total = entropy(logits.log_softmax(-1))
    total.backward()
    assert 0 <= total.item() < 1e-6
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


REFUSED = {
    "a value a time": lambda x: value_loss(x, torch.zeros(T, 1)),
    "a value an environment": lambda x: value_loss(torch.zeros(1, B), x),
    "values with a dimension of 1": lambda x: value_loss(x.unsqueeze(-1), x.unsqueeze(-1)),
    "whole targets": lambda x: value_loss(x, x.long()),
    "an advantage a time": lambda x: policy_gradient_loss(
        torch.zeros(T, B, A), x.long(), torch.zeros(T, 1)
    ),
    "an action a time": lambda x: policy_gradient_loss(
        torch.zeros(T, B, A), torch.zeros(T, 1, dtype=torch.int64), x
    ),
    "actions that are not whole": lambda x: policy_gradient_loss(torch.zeros(T, B, A), x, x),
    "chosen probabilities alone": lambda x: policy_gradient_loss(x, x.long(), x),
    "entropy of chosen probabilities": lambda x: entropy(x),
    "entropy of a decision": lambda x: entropy(torch.zeros(T, B, A, dtype=torch.int64)),
    "standardised with a dimension of 1": lambda x: standardise(x.unsqueeze(-1)),
    "standardised whole numbers": lambda x: standardise(x.long()),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_what_would_be_broadcast_is_refused(call):
    """[T, B] against [T, 1] is a loss too, but of nothing that was meant."""
    functions = "value_loss|policy_gradient_loss|entropy|standardise"
    with pytest.raises(ValueError, match=rf"^({functions}): .* must (all )?be ") as raised:
        call(torch.zeros(T, B))
    assert "\n" not in str(raised.value)


def test_standardised_values_have_mean_0_and_deviation_1():
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    deviation = math.sqrt((4 + 1 + 0 + 9) / 4)
    wanted = torch.tensor([[-2.0, -1.0], [0.0, 3.0]]) / (deviation + 1e-5)
    torch.testing.assert_close(standardise(x), wanted)
