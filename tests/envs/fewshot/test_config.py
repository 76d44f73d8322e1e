"""The section `episodes`: what it reads, what it refuses, and that it loads again as it was."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from envs.fewshot import DataConfig, EpisodesConfig


def test_reads_names_and_mappings_and_loads_again():
    config = EpisodesConfig(
        tasks=["glyphs", {"name": "folder", "root": "pictures", "size": 28}],
        labels="delayed",
        k_shot=3,
        shorten=14,
    )
    assert config.tasks == (
        DataConfig(name="glyphs"),
        DataConfig(name="folder", root="pictures", size=28),
    )
    assert EpisodesConfig(**json.loads(config.model_dump_json())) == config


def test_a_task_without_a_root_has_a_folder_of_its_name():
    tasks = ["omniglot", {"name": "fc100", "size": 84}, {"name": "folder", "root": "x"}, "glyphs"]
    for root, wanted in (({}, "data"), ({"root": "/mnt/sets"}, "/mnt/sets")):
        config = EpisodesConfig(tasks=tasks, **root)
        roots = [task.root for task in config.tasks]
        assert roots == [f"{wanted}/omniglot", f"{wanted}/fc100", "x", None]
        assert config.tasks[1].size == 84
        assert EpisodesConfig(**json.loads(config.model_dump_json())) == config
    with pytest.raises(ValidationError, match="root is missing: the folder with the files of fc"):
        DataConfig(name="fc100")


def test_an_unknown_label_is_one_more_symbol():
    assert EpisodesConfig(tasks=["glyphs"], n_way=7).label_symbols == 7
    assert EpisodesConfig(tasks=["glyphs"], n_way=7, unknown_label=True).label_symbols == 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tasks": []}, r"a list of data sets is needed, such as \[glyphs\], not \[\]"),
        ({"tasks": "glyphs"}, "not 'glyphs'"),
        ({"tasks": ["letters"]}, "should be 'glyphs', 'sprites'"),
        ({"root": 1}, "valid string"),
        ({"tasks": [{"name": "sprites", "root": "x"}]}, "root 'x' has no effect"),
        ({"tasks": [{"name": "glyphs", "side": 28}]}, "Extra inputs"),
        ({"tasks": [{"name": "glyphs", "size": 4}]}, "greater than or equal to 8"),
        ({"tasks": [{"name": "glyphs", "difficulty": 3}]}, "less than or equal to 2"),
        ({"tasks": [{"name": "fc100", "root": "x", "difficulty": 0.5}]}, "difficulty 0.5 is for"),
        ({"tasks": [{"name": "glyphs", "normalise": "imagenet"}]}, "set channels to 3"),
        ({"n_way": 1}, "greater than or equal to 2"),
        ({"n_way": "5"}, "valid integer"),
        ({"labels": "late"}, "'synchronous' or 'delayed'"),
        ({"labels": "delayed", "n_query": 2}, "n_query 2 has no effect with delayed labels"),
        ({"labels": "delayed", "shorten": 5}, "set at most 4"),
        ({"shorten": 1}, "shorten 1 needs labels 'delayed'"),
        ({"task_order": "random"}, "task_order 'random' needs at least two tasks"),
    ],
)
def test_refuses(values, message):
    with pytest.raises(ValidationError, match=message):
        EpisodesConfig(**{"tasks": ["glyphs"], **values})
