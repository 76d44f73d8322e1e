"""Targets of truncated and terminated episodes, each worked out by hand."""

import numpy as np
import pytest

from learners import Learner, LearnerConfig
from tests.learners.impala.test_learner import A, Table, rollout

T, N = 3, 4
VALUES = np.array([[0.5, 1.0, -0.5, 0.25]] * 3 + [[2.0, 4.0, 6.0, 8.0]])


def targets(**section):
    """Return the V-trace targets [T, N] of an on-policy batch, read off the value's gradient.

    After its second step the first environment's episode is truncated with a value of 3, the
    second's terminates, the third's does both (so a worker gives it no value), and the fourth's is
    truncated with a value of -2 only after the last step. Each step earns 0.25, the last 5.
    """
    logits = np.zeros((T + 1, N, A))
    first = np.zeros((T + 1, N), np.bool_)
    first[2, :3] = first[T, 3] = True
    reward = np.full((T + 1, N), 0.25, np.float32)
    reward[T] = 5.0
    final_value = np.zeros((T, N), np.float32)
    final_value[1, 0], final_value[T - 1, 3] = 3.0, -2.0
    batch = rollout()._replace(
        obs=np.zeros((T + 1, N, 7), np.float32),
        reward=reward,
        first=first,
        action=np.zeros((T, N), np.int64),
        logits=logits[:T].astype(np.float32),
        final_value=final_value,
        version=np.zeros(N, np.int64),
    )
    learner = Learner(Table(logits, VALUES), LearnerConfig(discount=0.5, **section), 100)
    learner.update(batch)
    # The loss is value_cost / 2 of each squared difference, and value_cost is 0.5.
    return VALUES[:T] - learner.agent.values.grad.numpy()[:T] / 0.5


@pytest.mark.parametrize(
    ("section", "truncated", "truncated_last"),
    [
        # 0.25 + 0.5 * 3 = 1.75, and before it 0.25 + 0.5 * 1.75; 1 + 0.5 * -2 = 0 and so on.
        ({}, [1.125, 1.75], [0.375, 0.25, 0.0]),
        # The value is neither scaled nor clipped, as rewards are: 0.5 + 0.5 * 3; 1 + 0.5 * -2.
        ({"reward_scale": 2.0}, [1.5, 2.0], [0.75, 0.5, 0.0]),
        ({"reward_clip": 0.125}, [0.9375, 1.625], [-0.03125, -0.3125, -0.875]),
        # Off, an end is an end.
        ({"bootstrap_time_limits": False}, [0.375, 0.25], [0.625, 0.75, 1.0]),
    ],
    ids=["on", "scaled", "clipped", "off"],
)
def test_a_truncated_episodes_target_goes_on_from_its_last_value(
    section, truncated, truncated_last
):
    found = targets(**section)
    np.testing.assert_allclose(found[:2, 0], truncated, atol=1e-6)
    np.testing.assert_allclose(found[:, 3], truncated_last, atol=1e-6)


def test_a_terminated_episodes_target_ends():
    found = targets()
    for env in (1, 2):
        np.testing.assert_allclose(found[:2, env], [0.25 + 0.5 * 0.25, 0.25], atol=1e-6)


def test_the_next_episodes_targets_do_not_know_of_the_one_before():
    """1, the clipped 5, and half of the value that the rollout ends with."""
    np.testing.assert_allclose(targets()[2, :3], [1 + 1.0, 1 + 2.0, 1 + 3.0], atol=1e-6)
