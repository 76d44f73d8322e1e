"""`srwm config`, `srwm configs`, `--version`, completion, and how quickly a mistake is answered."""

import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest
import yaml
from click.shell_completion import ShellComplete

from launch.cli import srwm
from launch.config.source import CONFIGS, load_config
from tests.launch.runs import ROOT, TMAZE, main, write_config


def test_one_key_is_explained(capsys):
    assert main("config", "learner.entropy_cost") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "learner.entropy_cost  float  >= 0  (default 0.01)"
    assert second.startswith("    Weight of the entropy")


def test_a_section_and_all_keys_are_explained(capsys):
    assert main("config", "checkpoint") == 0
    section = capsys.readouterr().out
    assert section.count("(default ") == 2
    assert main("config") == 0
    everything = capsys.readouterr().out
    assert section in everything
    assert "envs.tasks  list of text  (required)" in everything


def test_the_keys_as_json(capsys):
    assert main("config", "--json") == 0
    keys = json.loads(capsys.readouterr().out)
    (key,) = (key for key in keys if key["name"] == "launch.workers")
    assert key.keys() == {"name", "type", "default", "range", "meaning"}
    assert (key["type"], key["default"], key["range"]) == ("int | auto", "2", "> 0")


def test_a_configuration_is_printed_as_it_would_run(capsys, tmp_path):
    file = str(write_config(tmp_path / "c.yaml", TMAZE))
    overrides = ["learner.batch_size=1e2", "launch.workers=auto"]
    assert main("config", file, *overrides) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["learner"]["batch_size"] == 100
    (tmp_path / "again.yaml").write_text(text)
    assert load_config("again.yaml") == load_config(file, overrides)
    assert main("config", file, *overrides, "--json") == 0
    assert json.loads(capsys.readouterr().out) == yaml.safe_load(text)


def test_the_shipped_configurations_are_listed_with_their_first_sentence(capsys):
    assert main("configs") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert [*CONFIGS.glob("*.yaml")]
    for path in CONFIGS.glob("*.yaml"):
        first, _, _ = path.read_text().removeprefix("# ").replace("\n# ", " ").partition(". ")
        assert f"{path.stem} {first}" in text.replace("- ", "-"), path


def test_the_version_is_the_packages(capsys):
    assert main("--version") == 0
    assert capsys.readouterr().out == f"srwm, version {version('srwm')}\n"


@pytest.mark.parametrize(
    ("words", "typed", "offered"),
    [
        ([], "tra", {"train", "trace"}),
        (["train"], "recall-", {"recall-30", "recall-100"}),
        (
            ["train", "tmaze"],
            "learner.adam_",
            {f"learner.adam_{k}=" for k in ("beta1", "beta2", "eps")},
        ),
        (
            ["train", "tmaze"],
            "learner.learning",
            {"learner.learning_rate=", "learner.learning_rate=0.0006"},
        ),
        (["doctor"], "tm", {"tmaze"}),
        (["config"], "checkpoint", {"checkpoint", "checkpoint.every_frames", "checkpoint.keep"}),
        (["config", "tmaze"], "log_", {"log_every_frames=", "log_every_frames=20000"}),
        (["bench", "e2e"], "quick", {"quickstart"}),
        (["config"], "classifier.lstm.", set()),
        (["config", "--fewshot"], "classifier.lstm.", {"classifier.lstm.hidden_size"}),
        (["fewshot"], "classifier.co", {"classifier.core=", "classifier.core_options="}),
    ],
)
def test_a_shell_completes_commands_configurations_and_keys(words, typed, offered):
    shell = ShellComplete(srwm, {}, "srwm", "_SRWM_COMPLETE")
    assert {item.value for item in shell.get_completions(words, typed)} == offered


def test_a_mistake_in_a_configuration_is_answered_without_importing_torch():
    script = (
        "import sys\n"
        "from launch import cli\n"
        "try:\n"
        "    cli.main(['train', 'quickstart', 'learner.lr=1'])\n"
        "except SystemExit as ended:\n"
        "    print(ended.code, sorted({'torch', 'ray', 'gym'} & {*sys.modules}))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "2 []\n"
    assert "did you mean learner.learning_rate?" in done.stderr
