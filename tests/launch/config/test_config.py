"""From YAML and the command line to a validated tree, and back."""

import pytest
import yaml

from launch.config.schema import RunConfig
from launch.config.source import (
    CONFIGS,
    dump_config,
    load_any_config,
    load_config,
    parse_config,
    read_yaml,
)
from learners import LearnerConfig
from tests.launch.runs import PROCGEN, TMAZE, write_config

MINIMAL = {"total_frames": 1000, "envs": {"tasks": ["bigfish"]}}


def minimal(*overrides):
    return parse_config({**MINIMAL, "envs": {"tasks": ["bigfish"]}}, overrides, "test")


@pytest.mark.parametrize("name", [path.stem for path in CONFIGS.glob("*.yaml")])
def test_every_shipped_config_is_valid_and_survives_a_round_trip(name, tmp_path):
    if name == "popgym":  # its tasks are registered by a package of the extra `memory`
        pytest.importorskip("popgym")
    config = load_any_config(name)
    file = tmp_path / "dumped.yaml"
    file.write_text(dump_config(config))
    assert load_any_config(str(file)) == config


@pytest.mark.parametrize("path", [*CONFIGS.glob("*.yaml")], ids=lambda path: path.stem)
def test_every_shipped_config_begins_by_saying_what_it_is(path):
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("tree", [TMAZE, PROCGEN], ids=["tmaze", "procgen"])
def test_a_dump_loads_again_as_an_equal_config(tree, tmp_path):
    config = parse_config(yaml.safe_load(yaml.safe_dump(tree)), [], "test")
    file = tmp_path / "dumped.yaml"
    file.write_text(dump_config(config))
    assert parse_config(read_yaml(file), [], "test") == config
    assert yaml.safe_load(file.read_text())["learner"]["batch_size"] == config.learner.batch_size


def test_a_dump_names_every_value_so_that_later_defaults_change_nothing():
    dumped = yaml.safe_load(dump_config(minimal()))
    assert dumped.keys() == RunConfig.model_fields.keys()
    assert dumped["learner"]["learning_rate"] == 6e-4
    assert dumped["checkpoint"]["keep"] == 3


def test_a_configuration_says_by_its_type_whether_a_number_is_open():
    config = minimal("launch.workers=auto")
    assert not isinstance(config, RunConfig)
    assert (config.launch.workers, config.launch.envs_per_worker) == ("auto", 24)
    assert config.auto == ("workers",)
    assert yaml.safe_load(dump_config(config))["launch"]["workers"] == "auto"
    found = config.resolved(workers=5)
    assert found == minimal("launch.workers=5")
    assert isinstance(found, RunConfig)


def test_overrides_leave_the_tree_as_it_was():
    tree = {**MINIMAL, "launch": {"workers": 3}}
    assert parse_config(tree, ["launch.workers=5", "seed=7"], "test").launch.workers == 5
    assert tree == {**MINIMAL, "launch": {"workers": 3}}


def test_the_defaults_are_the_papers():
    config = minimal()
    paper = {
        "unroll_length": 50,
        "batch_size": 32,
        "discount": 0.99,
        "reward_clip": 1.0,
        "clip_rho": 1.0,
        "clip_c": 1.0,
        "entropy_cost": 0.01,
        "value_cost": 0.5,
        "learning_rate": 6e-4,
        "rmsprop_alpha": 0.99,
        "rmsprop_eps": 0.01,
        "rmsprop_momentum": 0.0,
        "max_grad_norm": 40.0,
    }
    learner = config.learner.model_dump()
    assert {name: learner[name] for name in paper} == paper
    assert config.launch.workers * config.launch.envs_per_worker == 48
    assert config.agent.core == "srwm"
    srwm = {"hidden_size": 128, "layers": 2, "heads": 8, "feedforward_factor": 4}
    assert config.agent.srwm.model_dump(include={*srwm}) == srwm
    assert config.agent.lstm.hidden_size == 256


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("total_frames=2000", None, "total_frames", 2000),
        ("total_frames=2_000_000", None, "total_frames", 2_000_000),
        ("total_frames=1e6", None, "total_frames", 1_000_000),
        ("total_frames=2.5e+5", None, "total_frames", 250_000),
        ("total_frames=1_0.0E3", None, "total_frames", 10_000),
        ("learner.max_grad_norm=1e2", "learner", "max_grad_norm", 100.0),
        ("learner.learning_rate=6e-4", "learner", "learning_rate", 0.0006),
        ("learner.learning_rate=1E-3", "learner", "learning_rate", 0.001),
        ("learner.learning_rate=.001", "learner", "learning_rate", 0.001),
        ("learner.max_grad_norm=1", "learner", "max_grad_norm", 1.0),
        ("agent.core=lstm", "agent", "core", "lstm"),
        ("launch.worker_threads=2", "launch", "worker_threads", 2),
        ("launch.worker_threads=null", "launch", "worker_threads", None),
        ("launch.address=ray://host:10001", "launch", "address", "ray://host:10001"),
        ("run_dir=a=b", None, "run_dir", "a=b"),
        ("envs.tasks=[maze, heist]", "envs", "tasks", ("maze", "heist")),
        ("envs.tasks=[procgen-memory4]", "envs", "distribution_mode", "memory"),
    ],
)
def test_an_override_sets_a_dotted_key_to_a_typed_value(override, section, key, value):
    config = minimal(override)
    found = getattr(getattr(config, section) if section else config, key)
    assert found == value
    assert type(found) is type(value)


def test_an_override_reaches_a_section_of_a_section_and_the_last_one_wins():
    config = minimal("agent.srwm.heads=4", "agent.srwm.layers=1", "agent.srwm.heads=2")
    assert config.agent.srwm.model_dump(include={"heads", "layers"}) == {"heads": 2, "layers": 1}


def test_a_number_with_an_exponent_is_a_number_in_a_file_too(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("total_frames: 10\nenvs: {tasks: [maze]}\nlearner: {learning_rate: 6e-4}\n")
    assert load_config(str(file)).learner.learning_rate == 0.0006


def test_a_config_is_found_by_path_before_name(tmp_path):
    assert load_config("quickstart") == load_config(str(CONFIGS / "quickstart.yaml"))
    write_config(tmp_path / "quickstart", MINIMAL)  # the working directory is tmp_path
    assert load_config("quickstart").total_frames == 1000


def test_the_tree_is_frozen():
    config = minimal()
    with pytest.raises(ValueError, match="frozen"):
        config.learner.batch_size = 7


@pytest.mark.parametrize("name", ["paper-easy6", "paper-memory4"])
def test_the_papers_runs_have_the_papers_form(name):
    agent, learner = load_config(name).agent, load_config(name).learner
    assert agent.srwm.input == "softmax"
    assert (agent.srwm.query_scale, agent.srwm.initial_key_scale, agent.policy_scale) == (1, 1, 1)
    assert learner == LearnerConfig()
