"""The benchmark of the driver: real processes, which do nothing."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from launch.bench.scale import Scale, ScaleRow, result_table
from tests.launch.runs import ROOT


def row(workers, rate, seconds):
    return ScaleRow(workers, rate, 1000, seconds, seconds / 2, driver_gb=0.4, memory_gb=1.0)


def test_growth_is_from_the_fewest_to_the_most():
    result = Scale(False, 5.0, [row(4, 700, 2e-3), row(1, 100, 1e-3), row(2, 900, 9e-3)])
    rate, growth, of_ray = result.figures
    assert (rate.value, rate.bound, rate.holds) == (700, 500, True)
    assert (growth.value, growth.holds) == (2, False)
    assert "4 workers / 1" in growth.name
    assert (of_ray.value, of_ray.holds) == (0.7, False)
    assert len(result_table(result).rows) == 3


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("size", [[], ["--whole"]])
def test_the_command_writes_what_it_prints(size, tmp_path):
    ray_folder = tempfile.mkdtemp(prefix="srwm-", dir="/tmp")  # sockets: paths must be short
    command = [sys.executable, "-m", "launch", "bench", "scale", "--workers", "1,3", *size]
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
    assert result["whole"] == bool(size)
    assert (result["seconds"], result["rollout"]) == (1, [51, 32])
    assert [each["workers"] for each in result["rows"]] == [1, 3]
    for each in result["rows"]:
        # On the cores there are, the driver cannot have worked longer than the clock ran.
        busy = each["rollouts_per_second"] * each["driver_seconds"]
        assert 0 < busy <= result["cores"]
        assert each["ray_alone"] > 0
        assert 0 < each["flow_seconds"] < each["driver_seconds"]
        assert 0 < each["driver_gb"] < each["memory_gb"]
    for figure in result["figures"]:
        assert f"{figure['name']} {figure['value']:.2f}, wanted" in ended.stdout
