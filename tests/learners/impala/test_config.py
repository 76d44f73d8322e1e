"""The configuration section `learner`."""

import pytest
from pydantic import ValidationError

from learners import LearnerConfig


def test_defaults_are_the_papers():
    config = LearnerConfig().model_dump()
    for own in (
        "max_skipped",
        "devices",
        "adam_beta1",
        "adam_beta2",
        "adam_eps",
        "bootstrap_time_limits",
    ):
        config.pop(own)
    assert config == {
        "unroll_length": 50,
        "batch_size": 32,
        "discount": 0.99,
        "reward_scale": 1.0,
        "reward_clip": 1.0,
        "clip_rho": 1.0,
        "clip_c": 1.0,
        "vtrace_lambda": 1.0,
        "normalise_advantages": False,
        "reduction": "sum",
        "entropy_cost": 0.01,
        "value_cost": 0.5,
        "optimiser": "rmsprop",
        "schedule": "linear",
        "learning_rate": 6e-4,
        "rmsprop_alpha": 0.99,
        "rmsprop_eps": 0.01,
        "rmsprop_momentum": 0.0,
        "max_grad_norm": 40.0,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unroll_length", 0),
        ("batch_size", 1.0),
        ("discount", 1.01),
        ("discount", -0.1),
        ("discount", float("nan")),
        ("reward_clip", 0.0),
        ("clip_rho", -1.0),
        ("learning_rate", "6e-4"),
        ("learning_rate", float("inf")),
        ("entropy_cost", float("nan")),
        ("rmsprop_alpha", 2.0),
        ("max_grad_norm", 0.0),
        ("max_skipped", 0),
        ("devices", 0),
        ("lr", 6e-4),
        ("optimiser", "sgd"),
        ("schedule", "step"),
        ("reduction", "none"),
        ("vtrace_lambda", 1.1),
        ("reward_scale", 0.0),
        ("normalise_advantages", 1),
        ("adam_beta1", 1.0),
        ("adam_beta2", -0.1),
        ("adam_eps", 0.0),
    ],
)
def test_what_is_wrong_is_named(key, value):
    with pytest.raises(ValidationError) as caught:
        LearnerConfig.model_validate({key: value})
    (error,) = caught.value.errors()
    assert error["loc"] == (key,)


def test_a_batch_that_the_devices_cannot_share_is_refused():
    with pytest.raises(ValidationError, match="32 is not a multiple of devices 3"):
        LearnerConfig(devices=3)
