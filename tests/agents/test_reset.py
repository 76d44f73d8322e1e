"""How a core forgets."""

import pytest
import torch

from agents.ops.reset import reset, segments


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 5, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_reset_zeroes_exactly_the_environments_that_open_an_episode(shape, dtype):
    state = torch.rand(shape).to(dtype) + 1
    kept = state.clone()
    fresh = reset(state, torch.tensor([False, True, False]))
    assert fresh.dtype == dtype
    assert torch.equal(fresh[[0, 2]], kept[[0, 2]])
    assert not fresh[1].any()
    assert torch.equal(state, kept)


def test_reset_stops_the_gradient_into_the_past():
    state = torch.ones(3, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(reset(state, torch.tensor([False, True, False])).sum(), state)
    assert gradient.tolist() == [[1, 1], [0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("opens", "ranges"),
    [
        ([], [(0, 5)]),
        ([(0, 0)], [(0, 5)]),
        ([(2, 0)], [(0, 2), (2, 5)]),
        ([(2, 0), (2, 1), (3, 1)], [(0, 2), (2, 3), (3, 5)]),
        ([(0, 1), (4, 0)], [(0, 4), (4, 5)]),
    ],
)
def test_segments_begin_where_any_episode_opens(opens, ranges):
    first = torch.zeros(5, 2, dtype=torch.bool)
    for t, b in opens:
        first[t, b] = True
    assert list(segments(first)) == ranges
