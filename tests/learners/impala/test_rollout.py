"""The trajectory type: cutting and joining batches by environments."""

from itertools import pairwise

import numpy as np
import pytest

from learners.impala.rollout import ENVIRONMENT_AXIS, Rollout, join
from tests.learners.rollouts import N, T, rollout


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
            assert part.final_value[t, n] == whole.final_value[t, n + 1]
    assert part.version.tolist() == [1, 2, 3]
    for cut, full in zip(part.state, whole.state, strict=True):
        assert np.array_equal(cut, full[1:4])
    for cut, full in zip(part.arrays(), whole.arrays(), strict=True):
        assert np.shares_memory(cut, full)


@pytest.mark.parametrize("cuts", [[0, N], [0, 1, N], [0, 2, 4, N], list(range(N + 1))])
def test_pieces_joined_are_the_whole(cuts):
    whole = rollout()
    pieces = [whole.columns(a, b) for a, b in pairwise(cuts)]
    joined = join(pieces)
    for ours, truth in zip(joined.arrays(), whole.arrays(), strict=True):
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


def test_every_field_has_an_axis_of_environments():
    assert [*ENVIRONMENT_AXIS] == [*Rollout._fields]
    whole = rollout()
    for found, name in zip(whole.arrays(), ENVIRONMENT_AXIS, strict=False):
        assert found.shape[ENVIRONMENT_AXIS[name]] == N, name


WRONG = {
    "obs": np.zeros((T, N, 4, 4, 3), np.uint8),
    "reward": np.zeros((T, N), np.float32),
    "first": np.zeros((T + 1, N), np.uint8),
    "action": np.zeros((T, N), np.float32),
    "logits": np.zeros((T, N), np.float32),
    "final_value": np.zeros((T + 1, N), np.float32),
    "version": np.zeros((N, 1), np.int64),
    "state": (np.zeros((N + 1, 2), np.float32),),
}


@pytest.mark.parametrize("field", WRONG)
def test_what_is_no_rollout_is_refused_by_the_field(field):
    with pytest.raises(ValueError, match=rf"^join: .*{field}") as raised:
        join([rollout()._replace(**{field: WRONG[field]})])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("field", "of_another_type"),
    [("obs", np.float32), ("logits", np.float64)],
)
def test_rollouts_of_other_types_are_not_joined(field, of_another_type):
    """NumPy would make one type of both without a word."""
    whole = rollout()
    other = whole._replace(**{field: getattr(whole, field).astype(of_another_type)})
    with pytest.raises(ValueError, match=rf"^join: {field} .*{np.dtype(of_another_type)}"):
        join([whole, other])


def test_rollouts_of_another_length_or_number_of_actions_are_not_joined():
    whole = rollout()
    shorter = whole._replace(
        **{
            name: getattr(whole, name)[1:]
            for name in ("obs", "reward", "first", "action", "logits", "final_value")
        }
    )
    with pytest.raises(ValueError, match=r"^join: obs "):
        join([whole, shorter])
    with pytest.raises(ValueError, match=r"^join: logits "):
        join([whole, whole._replace(logits=whole.logits[..., :-1])])


def test_rollouts_of_cores_of_other_sizes_are_not_joined():
    whole = rollout()
    first, second = whole.state
    other = whole._replace(state=(first[:, :1], second))
    message = r"but is float32 \[1, 3\], float32 \[7\] and float32 \[2, 3\], float32 \[7\]$"
    with pytest.raises(ValueError, match=message):
        join([whole, other])
