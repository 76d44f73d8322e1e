"""The trajectory type: cutting and joining batches by environments."""

from itertools import pairwise

import numpy as np
import pytest

from learners.impala.rollout import join
from tests.learners.rollouts import N, T, rollout


def arrays(batch):
    return [*batch[:6], *batch.state]


def test_columns_are_the_environments_asked_for():
    whole = rollout()
    part = whole.columns(1, 4)
    assert whole.num_envs == N
    assert part.num_envs == 3
    for t in range(T + 1):
        for n in range(3):
            assert np.array_equal(part.obs[t, n], whole.obs[t, n + 1])
            assert part.reward[t, n] == whole.reward[t, n + 1]
            assert part.first[t, n] == whole.first[t, n + 1]
    for t in range(T):
        for n in range(3):
            assert part.action[t, n] == whole.action[t, n + 1]
            assert np.array_equal(part.logits[t, n], whole.logits[t, n + 1])
    assert part.version.tolist() == [1, 2, 3]
    for cut, full in zip(part.state, whole.state, strict=True):
        assert np.array_equal(cut, full[1:4])
    for cut, full in zip(arrays(part), arrays(whole), strict=True):
        assert np.shares_memory(cut, full)


@pytest.mark.parametrize("cuts", [[0, N], [0, 1, N], [0, 2, 4, N], list(range(N + 1))])
def test_pieces_joined_are_the_whole(cuts):
    whole = rollout()
    pieces = [whole.columns(a, b) for a, b in pairwise(cuts)]
    joined = join(pieces)
    for ours, truth in zip(arrays(joined), arrays(whole), strict=True):
        assert ours.dtype == truth.dtype
        assert np.array_equal(ours, truth)


def test_joining_keeps_the_order_given():
    whole = rollout()
    joined = join([whole.columns(4, 6), whole.columns(0, 1)])
    assert joined.version.tolist() == [4, 5, 0]
    assert np.array_equal(joined.obs, whole.obs[:, [4, 5, 0]])
    assert np.array_equal(joined.state[1], whole.state[1][[4, 5, 0]])


def test_a_single_piece_is_not_copied():
    part = rollout().columns(2, 5)
    assert join([part]) is part


def test_a_core_without_state():
    whole = rollout()._replace(state=())
    assert whole.columns(0, 2).state == ()
    assert join([whole, whole]).state == ()


def test_rollouts_of_different_cores_are_not_joined():
    whole = rollout()
    with pytest.raises(ValueError):
        join([whole, whole._replace(state=())])
