"""Modules of the user's own: registered, imported everywhere, named where they fail."""

import json
import pickle
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.registry import Registry
from envs import Suite, register_env, register_suite
from launch.config import plugins, schema
from launch.config.schema import RunConfig
from launch.config.source import parse_config
from launch.errors import UserError
from launch.prepare import check
from tests.launch.runs import TMAZE, changed, checkpoints, main, rows, write_config

MODULE = Path(__file__).with_name("own_parts.py").read_text()
NAME = "srwm_test_parts"
OWN = {
    **changed(TMAZE, launch__mode="ray", launch__envs_per_worker=2),
    "imports": [NAME],
    "envs": {"tasks": ["corridors"]},
    "agent": {
        "core": "leaky",
        "core_options": {"size": 8, "decay": 0.5},
        "encoder": "wide",
        "encoder_options": {"width": 16},
    },
}


@pytest.fixture(scope="session")
def outside(tmp_path_factory):
    """A folder outside of the checkout, with the module: one, as a process imports it once."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / f"{NAME}.py").write_text(MODULE)
    return folder


@pytest.fixture
def module(outside, monkeypatch):
    """The module in the working directory."""
    monkeypatch.chdir(outside)
    monkeypatch.syspath_prepend(outside)
    return outside / f"{NAME}.py"


def test_a_module_adds_a_core_an_encoder_an_environment_and_a_suite(module):
    config = parse_config(OWN, [], "test")
    assert config.envs.tasks == ("corridor/Short-v0",)
    agent = check(config)
    agent.core.inputs.weight.data.fill_(0)
    agent.core.inputs.bias.data.fill_(1)
    x = torch.zeros(3, 1, agent.core.inputs.in_features)
    first = torch.tensor([[True], [False], [True]])
    y, (h,) = agent.core(x, first, agent.core.initial_state(1))
    np.testing.assert_allclose(y[:, 0, 0].detach().numpy(), np.tanh([1, 1.5, 1]), rtol=1e-6)
    assert h.shape == (1, 8)
    assert agent.encoder[0].out_features == 16


def test_the_names_count_once_the_command_line_imports_the_module(module):
    tree = {key: value for key, value in OWN.items() if key != "imports"}
    assert parse_config(tree, [f"imports=[{NAME}]"], "test").agent.core == "leaky"


def test_another_process_imports_the_module_before_it_validates(module, monkeypatch):
    config = parse_config(OWN, [], "test")
    imported = []
    monkeypatch.setattr(schema, "import_plugins", imported.append)
    assert pickle.loads(pickle.dumps(config)) == config
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    assert imported == [[NAME], [NAME]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, f"imports: '{NAME}2' cannot be imported: no such module in this folder"),
        ("1 / 0", f"imports: '{NAME}2' cannot be imported: ZeroDivisionError: division by zero"),
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        (
            "import agents\nagents.register_core('srwm')(print)",
            "ValueError: core 'srwm' is registered already, by agents.cores: choose another name",
        ),
    ],
)
def test_a_module_that_fails_is_named(text, said, module):
    if text:
        Path(f"{NAME}2.py").write_text(text)
    sys.modules.pop(f"{NAME}2", None)
    with pytest.raises(UserError, match="config 'c': ") as caught:
        parse_config({**OWN, "imports": [NAME, f"{NAME}2"]}, [], "config 'c'")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (f"imports={NAME}", f"imports: needs a list of modules such as [my_module], not '{NAME}'"),
        ("agent.core=leeky", "sr_delta, leaky; did you mean 'leaky'?"),
        ("agent.encoder=wid", "did you mean 'wide'?"),
        ("envs.tasks=[corridor]", "did you mean 'corridors' or 'corridor/Short-v0'?"),
    ],
)
def test_what_a_module_registers_is_among_the_names_of_an_error(override, said, module):
    with pytest.raises(UserError) as caught:
        parse_config(OWN, [override], "test")
    assert said in str(caught.value)


def test_options_that_a_core_does_not_take_are_named(module):
    with pytest.raises(UserError, match=r"agent\.core_options: core 'leaky' .*'speed'"):
        check(parse_config(OWN, ["agent.core_options={speed: 2}"], "test"))


def test_an_installed_plug_in_is_imported_and_named_where_it_fails(monkeypatch, module):
    (module.parent / f"{NAME}3.py").write_text("raise RuntimeError('not today')")
    entry = EntryPoint("mine", f"{NAME}3", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])
    plugins._import_installed.cache_clear()
    with pytest.raises(UserError, match=r"plug-in 'mine' of .* imported: RuntimeError: not t"):
        parse_config(TMAZE, [], "test")
    (module.parent / f"{NAME}3.py").write_text("loaded = True")
    parse_config(TMAZE, [], "test")
    assert sys.modules[f"{NAME}3"].loaded
    plugins._import_installed.cache_clear()


def test_modules_travel_unless_they_are_installed(module):
    (module.parent / "srwm_test_package").mkdir()
    (module.parent / "srwm_test_package" / "__init__.py").touch()
    found = plugins.own_modules([NAME, "srwm_test_package.deep", NAME, "gymnasium", "json"])
    assert found == [str(module), str(module.parent / "srwm_test_package")]
    config = parse_config({**TMAZE, "envs": {"tasks": ["tests.worlds:Counting-v0"]}}, [], "test")
    assert config.envs.modules == ("tests.worlds",)


def test_a_name_is_given_once(module):
    parse_config(OWN, [], "test")
    with pytest.raises(ValueError, match="environment 'corridor/Short-v0' is registered already"):
        register_env("corridor/Short-v0")(dict)
    register_suite("corridors", Suite(("corridor/Short-v0",)))
    for name in ("corridors", "bigfish", "procgen-easy6"):
        with pytest.raises(ValueError, match=f"suite '{name}' is registered already"):
            register_suite(name, Suite(("maze",)))


def test_a_suite_of_games_brings_its_levels(module):
    register_suite("srwm-test-two", Suite(("maze", "heist"), "memory", 500))
    envs = parse_config({**TMAZE, "envs": {"tasks": ["srwm-test-two"]}}, [], "test").envs
    assert envs.tasks == ("maze", "heist")
    assert (envs.distribution_mode, envs.num_levels) == ("memory", 500)


def test_built_in_names_are_known_before_their_package_is_imported():
    registry = Registry("core", "agents.cores", ("lstm",))
    assert "lstm" in registry and [*registry] == ["lstm"] and len(registry) == 1
    with pytest.raises(ValueError, match=r"'lstm' is registered already, by agents\.cores"):
        registry.register("lstm")(print)
    registry.register("own")(print)
    registry.register("own")(print)
    assert [*registry] == ["lstm", "own"]
    with pytest.raises(ValueError, match=r"'own' is registered already, by builtins\.print"):
        registry.register("own")(len)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_module_outside_the_checkout_trains_evaluates_and_resumes(tmp_path, start):
    (tmp_path / f"{NAME}.py").write_text(MODULE)
    write_config(tmp_path / "c.yaml", {**OWN, "run_dir": "run"})
    train = start("train", "c.yaml")
    assert train.ends() == 0, train.text()
    assert main("eval", "run", "--episodes", "2", "--json", "scores.json") == 0
    (result,) = json.loads((tmp_path / "scores.json").read_text())
    (score,) = result["networks"][0]["episodes"]
    assert (score["task"], len(score["returns"])) == ("corridor/Short-v0", 2)
    resume = start("train", "--resume", "run", "total_frames=480")
    assert resume.ends() == 0, resume.text()
    assert checkpoints(tmp_path / "run")[-1] == rows(tmp_path / "run")[-1]["frames"] == 480
