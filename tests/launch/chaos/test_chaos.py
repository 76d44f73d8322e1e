"""A short chaos: real processes, three nodes, one of each fault and some more workers."""

import json

import pytest

from launch.chaos.schedule import KINDS
from tests.launch.runs import TMAZE, changed, main, write_config


def test_a_cluster_of_ones_own_is_refused(tmp_path, capsys):
    config = str(write_config(tmp_path / "c.yaml", TMAZE))
    assert main("chaos", config, "launch.address=auto", "--out", "chaos.json") == 2
    assert capsys.readouterr().err.startswith("srwm: launch.address: leave it out")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_invariants_hold_after_half_a_minute_of_faults(start, tmp_path):
    tree = changed(
        TMAZE,
        log_every_frames=200,
        launch__workers=3,
        launch__worker_timeout=8.0,
        checkpoint__every_frames=2000,
        checkpoint__keep=3,
        run_dir="run",
    )
    config = str(write_config(tmp_path / "c.yaml", tree))
    arguments = "--minutes", "0.5", "--seed", "1", "--out", "chaos.json", "--picture", "chaos.png"
    driver = start("chaos", config, *arguments)
    assert driver.ends(500) == 0, driver.text()
    result = json.loads((tmp_path / "chaos.json").read_text())
    assert all(verdict["holds"] for verdict in result["invariants"])
    happened = {kind["kind"]: kind["happened"] for kind in result["kinds"]}
    assert happened == {**dict.fromkeys(KINDS, 1), "worker killed": 3}
    assert (tmp_path / "chaos.png").stat().st_size > 0
    assert driver.leaves_nothing()
