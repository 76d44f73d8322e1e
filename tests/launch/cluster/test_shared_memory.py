"""A run where shared memory is small, or fills up: with a /dev/shm of its own."""

import shutil
import subprocess
import sys

import pytest

from tests.launch.runs import PROCGEN, changed, checkpoints, rows, write_config

# What the script starts ends with it.
NAMESPACE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
MAY_MOUNT = (
    shutil.which("unshare")
    and not subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not MAY_MOUNT, reason="needs `unshare --mount`, which root may use"),
]

TREE = changed(
    PROCGEN,
    total_frames=10**9,
    launch__mode="ray",
    checkpoint__every_frames=500,
    checkpoint__keep=3,
    run_dir="run",
)
FILL = """
until [ -s run/metrics.jsonl ]; do kill -0 $run || exit 99; sleep 0.2; done
head --bytes 10G /dev/zero > /dev/shm/other 2> /dev/null
[ "$(df --output=avail /dev/shm | tail -1)" -lt 4096 ] || exit 98
enough=$(($(wc --lines < run/metrics.jsonl) + 20))
until [ $(wc --lines < run/metrics.jsonl) -gt $enough ]; do kill -0 $run || exit 97; sleep 0.2; done
kill -TERM $run
"""


def train(folder, megabytes, then=""):
    """Train with a /dev/shm of this size; `then` is a script that knows the process as $run."""
    write_config(folder / "c.yaml", TREE)
    script = f"""
mount -t tmpfs -o size={megabytes}m tmpfs /dev/shm || exit 96
{sys.executable} -m launch train c.yaml &
run=$!
{then}
wait $run
"""
    return subprocess.run(
        [*NAMESPACE, "bash", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_too_little_of_it_is_one_line(tmp_path):
    ended = train(tmp_path, 100)
    assert ended.returncode == 2, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("srwm: ")]
    assert "MB in /dev/shm, where 100 MB are free" in line
    assert "Traceback" not in ended.stderr


def test_a_run_goes_on_and_saves_when_others_have_filled_it(tmp_path):
    ended = train(tmp_path, 400, FILL)
    assert ended.returncode == 0, (ended.returncode, ended.stdout, ended.stderr)
    assert "Traceback" not in ended.stderr
    run = tmp_path / "run"
    assert len(rows(run)) > 20
    assert checkpoints(run)[-1] >= rows(run)[-1]["frames"]
