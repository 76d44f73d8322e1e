"""The configuration section `agent`."""

import pytest
from pydantic import ValidationError

from agents import AgentConfig
from agents.cores import CORES
from agents.encoders import ENCODERS


def test_defaults_are_the_papers():
    config = AgentConfig()
    assert config.core == "srwm"
    assert config.lstm.model_dump() == {"hidden_size": 256}
    stack = {
        **{"hidden_size": 128, "layers": 2, "heads": 8, "feedforward_factor": 4},
        **{"residual": "plain", "dropout": 0.0},
    }
    assert config.delta.model_dump() == stack
    # But for what a head reads and the size of its keys: see agents/cores/README.md.
    ours = {"input": "layernorm", "query_scale": 1.0, "key_scale": None}
    assert config.srwm.model_dump() == {**stack, **ours}
    assert config.bptt is None
    assert config.policy_scale == 1


@pytest.mark.parametrize(
    ("section", "scale"),
    [
        ({}, 8),
        ({"input": "none"}, 8),
        ({"input": "softmax"}, 1),  # the paper's form is one word
        ({"input": "softmax", "key_scale": 3.0}, 3),
        ({"key_scale": 3.0}, 3),
    ],
)
def test_keys_are_sharp_but_in_the_papers_form(section, scale):
    config = AgentConfig.model_validate({"srwm": section}).srwm
    assert (config.query_scale, config.initial_key_scale) == (1, scale)
    # Also where the word is changed in a configuration that names every key.
    whole = {**AgentConfig().srwm.model_dump(), **section}
    assert AgentConfig.model_validate({"srwm": whole}).srwm == config


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("encoder", ["auto", *ENCODERS])
def test_known_names_are_accepted(core, encoder):
    AgentConfig(core=core, encoder=encoder)


@pytest.mark.parametrize(
    ("section", "where", "said"),
    [
        (
            {"core": "gru"},
            ("core",),
            "'gru' is none of feedforward, lstm, delta, fake_srwm, srwm, srwm_no_carry, sr_delta",
        ),
        (
            {"encoder": "resnet"},
            ("encoder",),
            "'resnet' is none of auto, impala, impala_small, impala_tiny, mlp",
        ),
        ({"precision": "float16"}, ("precision",), "'bfloat16'"),
        ({"srwm": {"hidden_size": 128, "heads": 7}}, ("srwm",), "128 is not a multiple of heads 7"),
        ({"srwm": {"heads": 0}}, ("srwm", "heads"), "greater than 0"),
        ({"srwm": {"layers": -1}}, ("srwm", "layers"), "greater than 0"),
        ({"srwm": {"head": 8}}, ("srwm", "head"), "not permitted"),
        ({"srwm": {"input": "relu"}}, ("srwm", "input"), "'layernorm', 'softmax' or 'none'"),
        ({"srwm": {"key_scale": 0.0}}, ("srwm", "key_scale"), "greater than 0"),
        ({"srwm": {"query_scale": float("inf")}}, ("srwm", "query_scale"), "finite number"),
        ({"delta": {"input": "none"}}, ("delta", "input"), "not permitted"),
        ({"policy_scale": -1.0}, ("policy_scale",), "greater than 0"),
        ({"delta": {"hidden_size": 100}}, ("delta",), "100 is not a multiple of heads 8"),
        ({"bptt": 0}, ("bptt",), "greater than 0"),
        ({"bptt": "whole"}, ("bptt",), "valid integer"),
        ({"lstm": {"hidden_size": 0}}, ("lstm", "hidden_size"), "greater than 0"),
        ({"lstm": {"hidden_size": "256"}}, ("lstm", "hidden_size"), "valid integer"),
        ({"lstm": {"hidden_size": 256.0}}, ("lstm", "hidden_size"), "valid integer"),
        ({"lstm": {"hidden_size": True}}, ("lstm", "hidden_size"), "valid integer"),
        ({"core": 3}, ("core",), "valid string"),
        ({"cores": "lstm"}, ("cores",), "not permitted"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(section, where, said):
    with pytest.raises(ValidationError) as caught:
        AgentConfig.model_validate(section)
    (error,) = caught.value.errors()
    assert error["loc"] == where
    assert said in error["msg"]


def test_a_configuration_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        AgentConfig().core = "lstm"


@pytest.mark.parametrize("section", ["srwm", "delta"])
def test_acting_drops_nothing(section):
    with pytest.raises(ValidationError, match=rf"{section}.dropout 0.1 .*leave it out"):
        AgentConfig.model_validate({section: {"dropout": 0.1}})
