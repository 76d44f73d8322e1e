import sys

import pytest

from tests.launch.driver import Driver
from tests.launch.runs import PROCGEN, TMAZE, main, write_config


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Each test works in a folder of its own, which the command line puts on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def _train(folder, tree):
    run = folder / "run"
    config = write_config(folder / "config.yaml", {**tree, "run_dir": str(run)})
    assert main("train", str(config)) == 0
    return run


@pytest.fixture(scope="session")
def trained_tmaze(tmp_path_factory):
    """A finished run in a TMaze, all its checkpoints kept. Read it; copy it to change it."""
    return _train(tmp_path_factory.mktemp("tmaze"), TMAZE)


@pytest.fixture(scope="session")
def trained_procgen(tmp_path_factory):
    """The same with two games of ProcGen."""
    return _train(tmp_path_factory.mktemp("procgen"), PROCGEN)


@pytest.fixture
def start(tmp_path):
    drivers = []

    def start(*arguments):
        drivers.append(Driver(tmp_path, *arguments))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.clean_up()
