"""The how-tos for parts of one's own: their files are written, their commands run, but shorter."""

import re
import shlex

import pytest
import torch

from agents import FEATURES
from launch import load_config
from launch.prepare import check
from tests.docs.test_examples import TINY
from tests.launch.runs import ROOT, main, rows

FILE = re.compile(r"`(\w+\.py)`[^`]*:\n\n```python\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def follow(page, folder):
    """Write the page's files into the folder, and return its commands as lists of words."""
    text = (ROOT / "docs" / "howto" / f"{page}.md").read_text()
    for name, code in FILE.findall(text):
        (folder / name).write_text(code)
    lines = "".join(COMMANDS.findall(text)).replace("\\\n", "").splitlines()
    return [shlex.split(line) for line in lines]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def training(commands):
    """Return the arguments of the command that trains with the page's module."""
    return next(words for words in commands if words[1] == "train" and "imports=" in str(words))[2:]


@pytest.mark.parametrize(
    ("page", "task"), [("core", "memory/TMaze-8"), ("environment", "Corridor-v0")]
)
def test_train_and_evaluate(page, task, folder):
    commands = follow(page, folder)
    arguments = training(commands)
    assert main("train", *arguments, *TINY) == 0
    run = next(word.removeprefix("run_dir=") for word in arguments if word.startswith("run_dir="))
    assert f"episodes/{task}" in rows(folder / run)[-1]
    # What reads the run needs the folder and nothing else.
    assert ["srwm", "eval", run] in commands
    assert main("eval", run, "--episodes", "1") == 0


def test_encoder(folder):
    name, *overrides = training(follow("encoder", folder))
    encoder = check(load_config(name, overrides)).encoder
    assert encoder.convolution.out_channels == 16
    images = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    assert encoder(images).shape == (2, FEATURES)


def test_suite(folder):
    name, *overrides = training(follow("suite", folder))
    envs = load_config(name, overrides).envs
    assert envs.tasks == ("bigfish", "coinrun", "starpilot")
    assert (envs.distribution_mode, envs.num_levels) == ("easy", 200)


def test_the_check_of_a_core(folder, capsys):
    follow("core", folder)
    code = (folder / "check.py").read_text()
    exec(compile(code, "check.py", "exec"), {})
    assert capsys.readouterr().out == "ok\n"
    broken = code.replace("first[0] = first[4] = True", "first[0] = True")
    with pytest.raises(AssertionError):
        exec(compile(broken, "check.py", "exec"), {})
