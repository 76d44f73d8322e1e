"""The learner's section, and the learning rates that it stands for."""

import pytest
from pydantic import ValidationError

from learners.supervised import SupervisedConfig
from learners.supervised.schedule import learning_rate


def test_the_optimiser_is_the_papers():
    config = SupervisedConfig()
    assert (config.adam_beta1, config.adam_beta2, config.adam_eps) == (0.9, 0.995, 1e-9)
    assert (config.max_grad_norm, config.prototype_cost, config.warmup_steps) == (None, 0, 5000)


@pytest.mark.parametrize(
    ("update", "rate"),
    [
        (1, 1.767767e-7),  # 1 / 16 / 5000^1.5
        (2500, 4.419417e-4),
        (5000, 8.838835e-4),  # the paper's largest
        (20_000, 4.419417e-4),
        (600_000, 8.068715e-5),  # and its last
    ],
)
def test_warmup(update, rate):
    config = SupervisedConfig(schedule="warmup", learning_rate=123.0)
    assert learning_rate(config, 256, update) == pytest.approx(rate, rel=1e-6)


def test_warmup_of_another_size():
    config = SupervisedConfig(schedule="warmup", warmup_steps=4)
    assert [learning_rate(config, 4, update) for update in (1, 2, 4, 16)] == [
        pytest.approx(rate) for rate in (0.0625, 0.125, 0.25, 0.125)
    ]


def test_constant():
    assert [learning_rate(SupervisedConfig(), 256, update) for update in (1, 10**6)] == [1e-3] * 2


def test_a_batch_is_shared_equally():
    assert SupervisedConfig(batch_size=32, devices=2, accumulate=4)
    with pytest.raises(ValidationError, match=r"batch_size 32 .* devices x accumulate, 6"):
        SupervisedConfig(batch_size=32, devices=2, accumulate=3)
