from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from pydantic import ValidationError

from envs import EnvsConfig
from envs.suites import SUITES


def test_a_game_gets_the_defaults():
    config = EnvsConfig(tasks=("bigfish",))
    assert config.model_dump() == {
        "tasks": ("bigfish",),
        "distribution_mode": "easy",
        "num_levels": 200,
        "start_level": 0,
        "threads": 0,
    }


def test_the_papers_suites():
    easy = EnvsConfig(tasks=("procgen-easy6",))
    assert easy.tasks == ("bigfish", "fruitbot", "maze", "leaper", "plunder", "starpilot")
    assert (easy.distribution_mode, easy.num_levels, easy.start_level) == ("easy", 200, 0)
    memory = EnvsConfig(tasks=("procgen-memory4",))
    assert memory.tasks == ("dodgeball", "heist", "maze", "miner")
    assert (memory.distribution_mode, memory.num_levels) == ("memory", 500)


def test_the_suites_of_all_games():
    easy, hard = EnvsConfig(tasks=("procgen-easy16",)), EnvsConfig(tasks=("procgen-hard16",))
    assert len(set(easy.tasks)) == 16 and easy.tasks == hard.tasks
    assert (easy.distribution_mode, easy.num_levels) == ("easy", 200)
    assert (hard.distribution_mode, hard.num_levels) == ("hard", 500)


def test_a_suite_expands_in_place_and_yields_to_what_is_given():
    config = EnvsConfig(tasks=("jumper", "procgen-memory4", "caveflyer"), num_levels=7)
    assert config.tasks == ("jumper", "dodgeball", "heist", "maze", "miner", "caveflyer")
    assert (config.distribution_mode, config.num_levels) == ("memory", 7)
    assert EnvsConfig(tasks=("procgen-memory4",), distribution_mode="hard").num_levels == 500


def test_exploration_fills_in_its_level():
    config = EnvsConfig(tasks=("maze",), distribution_mode="exploration")
    assert (config.num_levels, config.start_level) == (1, 158988835)


@pytest.mark.parametrize(
    "given",
    [
        *({"tasks": [suite]} for suite in SUITES),
        {"tasks": ["heist"], "distribution_mode": "exploration"},
        {"tasks": ["coinrun", "ninja"], "num_levels": 0, "threads": 4},
        {"tasks": ["CartPole-v1"]},
        {"tasks": ["gym:CartPole-v1"]},
        {"tasks": ["memory/TMaze-8", "tests.worlds:Counting-v0"]},
    ],
)
def test_what_is_dumped_loads_again(given):
    config = EnvsConfig.model_validate(given)
    text = yaml.safe_dump(config.model_dump(mode="json"))
    assert EnvsConfig.model_validate(yaml.safe_load(text)) == config
    assert EnvsConfig.model_validate(config.model_dump()) == config
    assert EnvsConfig.model_validate(config) == config


@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        ({"tasks": ["bigfsh"]}, "tasks", "unknown task 'bigfsh': did you mean 'bigfish'?"),
        ({"tasks": ["procgen-easy"]}, "tasks", "did you mean 'procgen-easy6'"),
        ({"tasks": ["MAZE"]}, "tasks", "unknown task 'MAZE': did you mean 'maze'"),
        ({"tasks": ["CartPole"]}, "tasks", "did you mean 'CartPole-v1'"),
        ({"tasks": ["gym:CartPol-v1"]}, "tasks", "did you mean 'gym:CartPole-v1'"),
        (
            {"tasks": ["tests.worlds:Cuonting-v0"]},
            "tasks",
            "did you mean 'tests.worlds:Counting-v0'",
        ),
        ({"tasks": ["zzzzzz"]}, "tasks", "unknown task 'zzzzzz': give a ProcGen game, a suite"),
        (
            {"tasks": ["no_such_module:X-v0"]},
            "tasks",
            "cannot import 'no_such_module': ModuleNotFoundError: No module named",
        ),
        ({"tasks": [".x:X-v0"]}, "tasks", "cannot import '.x'"),
        ({"tasks": "maze"}, "tasks", "a list is needed, such as [bigfish, maze], not 'maze'"),
        ({"tasks": []}, "tasks", "at least one task is needed"),
        ({"tasks": ["maze", 3]}, "tasks", "each task is a name, not 3"),
        ({"tasks": ["maze", "maze"]}, "tasks", "task 'maze' is there twice"),
        ({"tasks": ["procgen-easy6", "maze"]}, "tasks", "task 'maze' is there twice"),
        (
            {"tasks": ["CartPole-v1", "maze"]},
            "tasks",
            "'maze' is a ProcGen game and 'CartPole-v1' is not: do not mix them",
        ),
        (
            {"tasks": ["procgen-easy6", "procgen-memory4"]},
            "",
            "distribution_mode differs between the suites "
            "('easy' in procgen-easy6, 'memory' in procgen-memory4): set it",
        ),
        (
            {"tasks": ["procgen-easy6", "procgen-memory4"], "distribution_mode": "easy"},
            "",
            "num_levels differs between the suites",
        ),
        (
            {"tasks": ["maze", "bigfish"], "distribution_mode": "memory"},
            "",
            "distribution_mode 'memory' does not exist for 'bigfish': it has easy, hard",
        ),
        (
            {"tasks": ["heist", "maze"], "distribution_mode": "exploration"},
            "",
            "distribution_mode 'exploration' is one level of one game, and tasks has 2: name one",
        ),
        (
            {"tasks": ["heist"], "distribution_mode": "exploration", "num_levels": 5},
            "",
            "distribution_mode 'exploration' is level 876640971 of 'heist'",
        ),
        (
            {"tasks": ["CartPole-v1"], "num_levels": 5},
            "",
            "num_levels 5 is for ProcGen, and 'CartPole-v1' is none of its games: leave it out",
        ),
        ({"tasks": ["maze"], "num_levels": 0, "start_level": 3}, "", "start_level 3 has no effect"),
        ({"tasks": ["maze"], "start_level": 2**31 - 100}, "", "goes beyond the last level"),
        ({"tasks": ["maze"], "distribution_mode": "medium"}, "distribution_mode", "'easy', 'hard'"),
        ({"tasks": ["maze"], "num_levels": -1}, "num_levels", "greater than or equal to 0"),
        ({"tasks": ["maze"], "num_levels": "200"}, "num_levels", "valid integer"),
        ({"tasks": ["maze"], "threads": True}, "threads", "valid integer"),
        ({"tasks": ["maze"], "levels": 3}, "levels", "Extra inputs are not permitted"),
        ({}, "tasks", "Field required"),
    ],
)
def test_bad_input_is_refused_in_one_line(given, key, message):
    with pytest.raises(ValidationError) as caught:
        EnvsConfig.model_validate(given)
    (error,) = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == key
    assert message in error["msg"]
    assert "\n" not in error["msg"]


def test_a_configuration_is_frozen():
    config = EnvsConfig(tasks=("maze",))
    with pytest.raises(ValueError, match="frozen"):
        config.num_levels = 3


LIGHT = """
import sys
from envs import EnvsConfig, make_env
config = EnvsConfig(tasks=("bigfish",))
heavy = {"gym", "gymnasium", "procgen", "torch", "ray"} & set(sys.modules)
assert not heavy, heavy
make_env(config, 1, seed=0).close()
make_env(EnvsConfig(tasks=("gym:CartPole-v1",)), 1, seed=0).close()
assert not {"torch", "ray"} & set(sys.modules)
"""


def test_imports_are_light_and_quiet():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
