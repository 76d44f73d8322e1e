"""The paper's runs as they are shipped: begun, stopped after a few updates, gone on with."""

import os
import signal

import pytest

from launch.config.source import read_yaml
from learners import checkpoint as store
from tests.launch.driver import STOP
from tests.launch.runs import checkpoint, checkpoints, main, rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UPDATE = 50 * 32


@pytest.mark.parametrize(
    ("name", "games"),
    [
        ("paper-easy6", ["bigfish", "fruitbot", "leaper", "maze", "plunder", "starpilot"]),
        ("paper-memory4", ["dodgeball", "heist", "maze", "miner"]),
    ],
)
def test_a_run_of_the_paper_starts_stops_and_goes_on(name, games, start, tmp_path):
    driver = start("train", name, "run_dir=run", f"log_every_frames={UPDATE}")
    driver.wait_until(lambda: driver.frames() >= 2 * UPDATE)
    os.kill(driver.process.pid, signal.SIGTERM)
    assert driver.ends(STOP) == 0, driver.text()
    assert driver.leaves_nothing()
    config = read_yaml(driver.run / "config.yaml")
    assert config["total_frames"] == 300_000_000
    assert sorted(config["envs"]["tasks"]) == games
    newest = checkpoints(driver.run)[-1]
    saved = store.load(checkpoint(driver.run, newest))["learner"]
    # Fifteen convolutions of the IMPALA network.
    assert sum(tensor.dim() == 4 for tensor in saved["agent"].values()) == 15
    # The rate falls in a line to zero at the end, so it has hardly begun to.
    assert rows(driver.run)[-1]["learner/learning_rate"] == pytest.approx(6e-4, rel=1e-3)

    more = newest + 1
    assert main("train", "--resume", "run", "launch.mode=local", f"total_frames={more}") == 0
    assert rows(driver.run)[-1]["frames"] == newest + UPDATE
