"""V-trace, against the paper's sum."""

import numpy as np
import pytest
import torch

from learners.impala.vtrace import vtrace
from tests.learners.truth import paper_vtrace

T, B = 6, 3


def tensors(*arrays):
    return [torch.tensor(np.array(array), dtype=torch.float64) for array in arrays]


def inputs():
    """Deterministic, with ratios from 0.1 to 5 and episodes that end inside and at the end."""
    steps = np.arange(T * B, dtype=np.float64).reshape(T, B)
    rhos = np.exp(np.linspace(np.log(0.1), np.log(5), T * B))
    rhos = rhos[np.arange(T * B) * 7 % (T * B)].reshape(T, B)
    discounts = 0.9 - 0.01 * steps
    discounts[2, 0] = discounts[3, 0] = discounts[T - 1, 1] = 0
    rewards = np.cos(steps)
    values = np.sin(steps) * 2
    bootstrap = np.array([1.5, -2.0, 0.5])
    return rhos, discounts, rewards, values, bootstrap


@pytest.mark.parametrize(
    ("clip_rho", "clip_c"), [(1.0, 1.0), (1.2, 0.8), (0.7, 1.5), (3.7, 2.2), (100.0, 100.0)]
)
def test_equals_the_papers_sum(clip_rho, clip_c):
    rhos, *rest = inputs()
    if clip_rho < 100:  # the inputs cross both clips
        assert rhos.min() < min(clip_rho, clip_c) and max(clip_rho, clip_c) < rhos.max()
    result = vtrace(*tensors(np.log(rhos), *rest), clip_rho=clip_rho, clip_c=clip_c)
    vs, advantages = paper_vtrace(rhos, *rest, clip_rho, clip_c)
    np.testing.assert_allclose(result.vs.numpy(), vs, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(result.advantages.numpy(), advantages, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("trace_lambda", [0.0, 0.3, 0.95])
def test_equals_the_papers_sum_with_a_lambda(trace_lambda):
    rhos, *rest = inputs()
    result = vtrace(*tensors(np.log(rhos), *rest), 1.2, 0.8, trace_lambda)
    vs, advantages = paper_vtrace(rhos, *rest, 1.2, 0.8, trace_lambda)
    np.testing.assert_allclose(result.vs.numpy(), vs, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(result.advantages.numpy(), advantages, rtol=1e-12, atol=1e-12)


def test_both_clips_are_one_unless_told():
    rhos, *rest = inputs()
    result = vtrace(*tensors(np.log(rhos), *rest))
    vs, _ = paper_vtrace(rhos, *rest, clip_rho=1, clip_c=1)
    np.testing.assert_allclose(result.vs.numpy(), vs, rtol=1e-12, atol=1e-12)


def test_on_policy_targets_are_n_step_returns():
    """Equation (2): sum of discounted rewards to the end of the episode or of the unroll."""
    _, _, rewards, values, bootstrap = inputs()
    gamma, ends = 0.9, {(2, 0), (3, 0), (T - 1, 1)}
    discounts = np.full((T, B), gamma)
    for end in ends:
        discounts[end] = 0
    result = vtrace(*tensors(np.zeros((T, B)), discounts, rewards, values, bootstrap))
    for b in range(B):
        for s in range(T):
            expected = 0.0
            for t in range(s, T):
                expected += gamma ** (t - s) * rewards[t, b]
                if (t, b) in ends:
                    break
            else:
                expected += gamma ** (T - s) * bootstrap[b]
            assert result.vs[s, b].item() == pytest.approx(expected, rel=1e-12)


def test_nothing_crosses_the_end_of_an_episode():
    log_rhos, discounts, rewards, values, bootstrap = tensors(*inputs())
    log_rhos = log_rhos.log()
    discounts[2] = 0
    one = vtrace(log_rhos, discounts, rewards, values, bootstrap)
    for later in (log_rhos, rewards, values):
        later[3:] += 1
    two = vtrace(log_rhos, discounts, rewards, values, bootstrap + 1)
    assert torch.equal(one.vs[:3], two.vs[:3])
    assert torch.equal(one.advantages[:3], two.advantages[:3])
    assert not torch.equal(one.vs[3:], two.vs[3:])


def test_an_overflowing_ratio_is_clipped():
    zeros = torch.zeros(2, 1)
    result = vtrace(torch.full((2, 1), 200.0), zeros, zeros + 1, zeros, torch.zeros(1))
    assert result.vs.tolist() == [[1], [1]]


def test_targets_and_advantages_carry_no_gradient():
    rhos, *rest = inputs()
    arguments = [tensor.requires_grad_() for tensor in tensors(np.log(rhos), *rest)]
    before = [tensor.clone() for tensor in arguments]
    result = vtrace(*arguments)
    assert not result.vs.requires_grad
    assert not result.advantages.requires_grad
    for tensor, copy in zip(arguments, before, strict=True):
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize("wrong", range(4))
@pytest.mark.parametrize("shape", [(T + 1, B), (T, B + 1), (T,), (T, B, 1)])
def test_shapes_that_disagree_are_refused(wrong, shape):
    arguments = [torch.zeros(T, B) for _ in range(4)]
    arguments[wrong] = torch.zeros(shape)
    with pytest.raises(ValueError, match=r"^vtrace: .* must all be \[T, B\]"):
        vtrace(*arguments, torch.zeros(B))


@pytest.mark.parametrize("shape", [(), (B + 1,), (1,), (1, B), (B, 1)])
def test_a_bootstrap_of_another_shape_is_refused(shape):
    """Of one environment it would be broadcast to all."""
    with pytest.raises(ValueError, match=r"^vtrace: bootstrap_value .* must be \[B\] with B = 3"):
        vtrace(*[torch.zeros(T, B) for _ in range(4)], torch.zeros(shape))


@pytest.mark.parametrize("shape", [(T,), (T, B, 2)])
def test_another_rank_is_refused_though_all_agree(shape):
    with pytest.raises(ValueError, match=r"^vtrace: .* must all be \[T, B\]"):
        vtrace(*[torch.zeros(shape) for _ in range(4)], torch.zeros(shape[1:]))


@pytest.mark.parametrize("wrong", range(5))
def test_whole_numbers_are_refused(wrong):
    arguments = [torch.zeros(T, B) for _ in range(4)] + [torch.zeros(B)]
    arguments[wrong] = arguments[wrong].long()
    with pytest.raises(ValueError, match=r"^vtrace: \w+ is int64, but must be float"):
        vtrace(*arguments)
