"""Run the SLURM script; SLURM, Ray and the run are stand-ins that take notes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launch.deploy.files import fill_in

NOTE = 'echo "$(basename "$0") $*" >>"$NOTES"\n'
# A Ray node and a run stay until they are told to end. They note their start when they can be told.
STAY = f"""
trap 'echo "$name ends" >>"$NOTES"; exit 0' TERM
{NOTE}
while :; do sleep 0.05; done
"""
# A run that fails, once head and nodes have started.
FAIL = """
until [ "$(grep -c '^ray start' "$NOTES")" = 2 ]; do sleep 0.05; done
exit 3
"""
COMMANDS = {
    "ray": '[ "$1" = start ] || exit 0\nname="ray $RAY_AUTH_MODE $RAY_AUTH_TOKEN"' + STAY,
    "srun": 'while [[ "$1" == -* ]]; do shift; done\n'
    'trap \'kill "$child"; wait\' TERM\n"$@" &\nchild=$!\nwait',
    "srwm": "name=srwm" + STAY,
    "scontrol": NOTE,
}


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


@pytest.fixture
def job(tmp_path, notes):
    """Start the script as SLURM does on the job's first node; kill it afterwards."""
    bin = tmp_path / ".venv" / "bin"
    bin.mkdir(parents=True)
    for name, body in COMMANDS.items():
        write_command(bin / name, body)
    (bin / "activate").write_text(f'PATH={bin}:{Path(sys.executable).parent}:"$PATH"\n')
    script = tmp_path / "slurm.sbatch"
    script.write_text(fill_in("slurm", "paper-easy6", (), 2, 4, {}))
    job_id = 1_000_000_000 + os.getpid()
    jobs = []

    def start():
        slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": str(job_id)}
        jobs.append(
            subprocess.Popen(
                ["bash", script],
                env={**os.environ, "NOTES": str(notes), **slurm},
                start_new_session=True,
            )
        )
        return jobs[-1]

    yield start
    for each in jobs:
        with contextlib.suppress(ProcessLookupError):  # none of the group is left, as it should be
            os.killpg(each.pid, signal.SIGKILL)
        each.wait()
    assert not Path(f"/tmp/srwm-{job_id}").exists()


def write_command(file, body):
    file.write_text(f"#!/bin/bash\n{body}\n")
    file.chmod(0o755)


def wait_for(notes, text, times=1):
    deadline = time.monotonic() + 60
    while not (notes.exists() and notes.read_text().count(text) == times):
        assert time.monotonic() < deadline, f"no {text!r} in time"
        time.sleep(0.05)


@pytest.fixture
def stopped(job, notes):
    """Start a job, send its shell a signal once the run is on, and return all notes."""

    def stop(number):
        script = job()
        wait_for(notes, "ray start --block --disable-usage-stats", times=2)
        wait_for(notes, "srwm train")
        script.send_signal(number)
        assert script.wait(60) == 0
        return notes.read_text().splitlines()

    return stop


@pytest.mark.parametrize("number, requeued", [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_signal_to_the_batch_shell_lets_the_run_save_before_all_ends(stopped, number, requeued):
    lines = stopped(number)
    ends = [line.split()[0] for line in lines if line.endswith(" ends")]
    assert ends == ["srwm", "ray", "ray"]
    assert lines[-1].startswith("scontrol requeue 10") == requeued
    assert any(line.startswith("scontrol") for line in lines) == requeued


def test_a_run_that_fails_ends_the_job_with_its_status(job, notes, tmp_path):
    write_command(tmp_path / ".venv" / "bin" / "srwm", FAIL)
    assert job().wait(60) == 3
    lines = notes.read_text().splitlines()
    assert [line.split()[0] for line in lines if line.endswith(" ends")] == ["ray", "ray"]
    assert not any(line.startswith("scontrol") for line in lines)


def test_the_nodes_share_address_and_token_and_no_worker_fits_on_the_head(stopped):
    lines = stopped(signal.SIGTERM)
    head, nodes = (
        dict(word.partition("=")[::2] for word in line.split() if "=" in word)
        for line in sorted(lines, key=lambda line: "--head" not in line)
        if line.startswith("ray start")
    )
    assert nodes["--address"] == f"{head['--node-ip-address']}:{head['--port']}"
    assert (head["--num-cpus"], nodes["--num-cpus"]) == ("1", "4")
    assert head["--include-dashboard"] == "false"
    (token,) = {line.removesuffix(" ends") for line in lines if line.endswith(" ends")} - {"srwm"}
    assert len(token.removeprefix("ray token ")) == 64
