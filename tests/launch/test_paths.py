"""The user's own folder: what lies there must not take the place of our modules or paths."""

import os
import subprocess
import sys

import pytest

from launch import paths


@pytest.mark.parametrize("name", ["envs", "agents", "learners", "launch", "configs"])
@pytest.mark.parametrize("form", ["package", "module"])
def test_a_module_of_the_same_name_in_the_working_directory_is_not_taken(name, form, tmp_path):
    mine = tmp_path / name / "__init__.py" if form == "package" else tmp_path / f"{name}.py"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("raise SystemExit('the module of the working directory was imported')")
    command = "from launch.cli import main; main(['config', 'quickstart'])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {paths.ROOT!r}); {command}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "total_frames" in done.stdout


def test_modules_of_the_working_directory_are_found_after_ours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/somewhere", str(tmp_path)])
    paths.find_own_modules()
    assert sys.path == [paths.ROOT, str(tmp_path), "/somewhere"]
    monkeypatch.setenv("PYTHONPATH", f"/mine{os.pathsep}{tmp_path}")
    assert paths.python_path().split(os.pathsep) == [paths.ROOT, str(tmp_path), "/mine"]


def test_a_path_may_name_the_home_folder_and_variables(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("RUNS", "/data/runs")
    assert paths.expand("~/runs/a") == "/home/me/runs/a"
    assert paths.expand("$RUNS/a") == paths.expand("${RUNS}/a") == "/data/runs/a"
    assert paths.expand("runs/a") == "runs/a"
