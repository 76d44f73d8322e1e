"""The wrapped tasks, in a process that has the variable as a worker has it."""

import json
import os
import subprocess
import sys

from launch.chaos import world

SCRIPT = """
import os
from pathlib import Path
from launch.chaos import world
from envs.registry import make

folder = Path(os.environ[world.FOLDER])
env = make(world.alias("memory/TMaze-8"))
env.reset(seed=0)
assert env.step(1)[1:4] == (0.0, False, False)
world.order(folder, "raise")
try:
    env.step(1)
except RuntimeError:
    print(os.getpid())
env.step(1)
"""


def test_one_environment_fails_once_for_each_order(tmp_path):
    world.write_tasks(tmp_path, ["memory/TMaze-8"])
    variables = {**os.environ, world.FOLDER: str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=variables, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
    assert world.taken_by(tmp_path, "raise") == int(child.stdout)
    assert world.taken_by(tmp_path, "raise") is None


def test_only_tasks_of_gymnasium_can_fail():
    assert world.can_fail(["memory/TMaze-8", "CartPole-v1"])
    assert not world.can_fail(["bigfish", "maze"])
    assert not world.can_fail(["gym:CartPole-v1"])
    assert world.alias("my.module:Maze-v0") == "chaos/my.module.Maze-v0"


def test_tasks_are_written_as_they_are_read(tmp_path):
    world.write_tasks(tmp_path, ("a", "b"))
    assert json.loads((tmp_path / world.TASKS).read_text()) == ["a", "b"]
