"""The benchmark of the driver: real processes, which do nothing."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from launch.bench.scale import Scale, ScaleRow
from tests.launch.runs import ROOT


def row(workers, rate, seconds):
    return ScaleRow(workers, rate, 1000, seconds, seconds / 2, driver_gb=0.4, memory_gb=1.0)


def test_growth_is_from_the_fewest_to_the_most():
    result = Scale(5.0, [row(4, 700, 2e-3), row(1, 100, 1e-3), row(2, 900, 9e-3)])
    assert "2.00 times as much with 4 workers as with 1" in result.summary()
    assert "with 4 it reaches 0.70 of Ray alone" in result.summary()
    (table,) = result.tables()
    assert [*table.columns[3].cells] == ["2,000", "1,000", "9,000"]  # us of the driver


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_writes_what_it_prints(tmp_path):
    ray_folder = tempfile.mkdtemp(prefix="srwm-", dir="/tmp")  # sockets: paths must be short
    command = [sys.executable, "-m", "launch", "bench", "scale", "--workers", "1,3"]
    try:
        ended = subprocess.run(
            [*command, "--seconds", "1", "--json", "scale.json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_TMPDIR": ray_folder},
            capture_output=True,
            text=True,
        )
    finally:
        shutil.rmtree(ray_folder, ignore_errors=True)
    assert ended.returncode == 0, ended.stderr
    result = json.loads((tmp_path / "scale.json").read_text())
    assert {"date", "cpu", "cores", "python", "torch", "ray"} <= result.keys()
    assert (result["seconds"], result["rollout"]) == (1, [51, 32])
    assert [each["workers"] for each in result["rows"]] == [1, 3]
    for each in result["rows"]:
        # On the cores there are, the driver cannot have worked longer than the clock ran.
        busy = each["rollouts_per_second"] * each["driver_seconds"]
        assert 0 < busy <= result["cores"]
        assert each["ray_alone"] > 0
        assert 0 < each["flow_seconds"] < each["driver_seconds"]
        assert 0 < each["driver_gb"] < each["memory_gb"]
    one, three = (each["driver_seconds"] for each in result["rows"])
    assert f"{three / one:.2f} times as much with 3 workers" in ended.stdout
