"""The reference of all keys, and what a misspelt one is answered with."""

import pytest
from pydantic import BaseModel

from launch.config.fewshot import FewShotConfig
from launch.config.reference import Key, all_keys, keys_of, nearest
from launch.config.schema import LoadedConfig, RunConfig
from launch.config.source import parse_config
from tests.launch.runs import TMAZE


def fields_of(model, prefix=""):
    """Yield the dotted name and the field of each key and section, without the JSON schema."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields_of(field.annotation, f"{prefix}{name}.")


@pytest.mark.parametrize("model", [LoadedConfig, RunConfig, FewShotConfig])
def test_every_key_and_section_has_a_docstring_of_a_few_sentences(model):
    for name, field in fields_of(model):
        text = field.description
        assert text and text[0] in "`ABCDEFGHIJKLMNOPQRSTUVWXYZ0" and text.endswith("."), name
        assert len(text) < 320, name


def test_every_key_that_a_run_folder_keeps_is_listed_in_its_order():
    def leaves(tree, prefix=""):
        for name, value in tree.items():
            if isinstance(value, dict) and not name.endswith("_options"):
                yield from leaves(value, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}"

    config = parse_config(TMAZE, [], "test").model_dump()
    assert [key.name for key in all_keys()] == list(leaves(config))


@pytest.mark.parametrize(
    ("name", "kind", "default", "limits"),
    [
        ("total_frames", "int", "", "> 0"),
        ("seed", "int", "0", ">= 0, < 2147483648"),
        ("run_dir", "text | null", "null", ""),
        ("envs.tasks", "list of text", "", ""),
        ("agent.precision", "auto | float32 | bfloat16", "auto", ""),
        ("agent.encoder", "auto | impala | impala_small | impala_tiny | mlp", "auto", ""),
        ("agent.core_options", "mapping", "{}", ""),
        ("learner.discount", "float", "0.99", ">= 0, <= 1"),
        ("learner.adam_beta1", "float", "0.9", ">= 0, < 1"),
        ("learner.normalise_advantages", "true | false", "false", ""),
        ("launch.workers", "int | auto", "2", "> 0"),
        ("launch.learner_threads", "int | null", "null", "> 0"),
    ],
)
def test_a_key_says_its_type_default_and_range(name, kind, default, limits):
    (key,) = keys_of(name)
    if name == "agent.encoder":  # other tests may have registered more
        key = key._replace(type=key.type[: len(kind)])
    assert key == Key(name, kind, default, limits, key.meaning)


def test_a_section_has_its_keys_and_those_of_its_sections():
    assert [key.name for key in keys_of("agent.lstm")] == ["agent.lstm.hidden_size"]
    assert {"agent.core", "agent.srwm.heads"} <= {key.name for key in keys_of("agent")}
    assert keys_of("agen") == keys_of("agent.c") == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("learner.lr", "learner.learning_rate"),
        ("lr", "learner.learning_rate"),
        ("frames", "total_frames"),
        ("learner.batchsize", "learner.batch_size"),
        ("lerner.batch_size", "learner.batch_size"),
        ("learner.gamma", "learner.discount"),
        ("batch-size", "learner.batch_size"),
        ("env.tasks", "envs.tasks"),
        ("learnr", "learner"),
        ("agent.swrm", "agent.srwm"),
        ("agent.srwm.hiden_size", "agent.srwm.hidden_size"),
        ("agent.delta.head", "agent.delta.heads"),
        ("launch.num_workers", "launch.workers"),
        ("qwertz", None),
    ],
)
def test_a_misspelt_key_has_a_nearest(typed, meant):
    assert nearest(typed) == meant


def test_a_few_shot_run_has_keys_of_its_own():
    assert {"episodes.n_way", "episodes.tasks[].root", "classifier.core"} <= {
        key.name for key in all_keys(FewShotConfig)
    }
    assert keys_of("envs", FewShotConfig) == []
    assert nearest("classifer.core", FewShotConfig) == "classifier.core"
    assert nearest("learner.unroll_lenght", FewShotConfig) != "learner.unroll_length"
