"""Check the kernels on a GPU, measure them and training, and write all that as one JSON file.

    make check-gpu [ARGS=FILE]               where make works
    python -m launch.bench.check_gpu FILE    elsewhere

Exit status 1 if anything failed. compute-sanitizer, which comes with the CUDA toolkit, is used
where it is found.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

from launch.flow.resources import cpu_count
from launch.machine.facts import machine
from launch.report.files import write_json

FILES = [f"tests/agents/test_{name}.py" for name in ("srwm_kernel", "delta_op", "kernels_cuda")]
FILES.append("tests/learners/impala/test_batch.py")
ON_GPU = "cuda or gpu or graph"
# Under the sanitizer a kernel is some hundred times slower: each path once. One and several warps
# a matrix, both types, resets around a checkpoint.
SMALL = (
    "cuda and not registers"
    " and (bfloat16 or one_output or checkpoint or (equals_the_reference and 63 and 32))"
)
# One node, whose worker or workers and learner share the GPU; the games have most of the cores.
SHARED = ["learner.batch_size=168", "launch.learner_gpus=0.5"]
ONE_WORKER = [*SHARED, "launch.workers=1", "launch.envs_per_worker=1008", "launch.worker_gpus=0.5"]
ONE_WORKER += ["launch.queue_batches=6", f"envs.threads={max(1, cpu_count() // 2 - 1)}"]
FOUR_WORKERS = [*SHARED, "launch.workers=4", "launch.envs_per_worker=252"]
FOUR_WORKERS += ["launch.worker_gpus=0.125", "launch.queue_batches=3", "envs.threads=1"]
BENCHMARKS = {
    "core": ["core", "--device", "cuda"],
    "e2e": ["e2e", "paper-easy6", *ONE_WORKER],
    "e2e_four_workers": ["e2e", "paper-easy6", *FOUR_WORKERS],
    "e2e_lstm": ["e2e", "paper-easy6", *ONE_WORKER, "agent.core=lstm"],
    "learner": ["learner", "paper-easy6"],
}
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
SANITIZER = ["compute-sanitizer", "--error-exitcode", "9", "--tool"]


def run_tests(folder: Path, *options: str, under: list[str] | None = None) -> dict[str, Any]:
    """Run tests, and return how many there were of each outcome, and the failed ones' names."""
    report = folder / "junit.xml"
    report.unlink(missing_ok=True)
    # Under memcheck each tensor has an allocation of its own, so that its bounds are known.
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"} if under else None
    command = [*(under or []), *PYTEST, *FILES, f"--junitxml={report}", "--timeout=0", *options]
    print("$", *command, flush=True)
    status = subprocess.run(command, env=environment).returncode
    cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    failed = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    return {
        "passed": len(cases) - len(failed) - len(skipped),
        "failed": [f"{case.get('classname')}.{case.get('name')}" for case in failed],
        "skipped": len(skipped),
        "exit_status": status,
    }


def train_and_resume(folder: Path) -> bool:
    """Train a few updates on the GPU, with Ray, and go on from what was saved."""
    run = folder / "run"
    first = ["train", "quickstart", "total_frames=16_000", f"run_dir={run}"]
    then = ["train", "--resume", str(run), "total_frames=32_000"]
    return not (srwm(*first) or srwm(*then))


def srwm(*arguments: str) -> int:
    """Run a command and return its exit status."""
    print("$ srwm", *arguments, flush=True)
    return subprocess.run([sys.executable, "-m", "launch", *arguments]).returncode


def main(target: Path) -> int:
    """Run everything, whatever fails, and return the exit status.

    Each part writes the file again, so that the results are there if time runs out.
    """
    if not torch.cuda.is_available():
        print("check_gpu: torch finds no GPU here", file=sys.stderr)
        return 2
    result: dict[str, Any] = {"good": False, **machine(), "cuda": torch.version.cuda}

    def keep(**part: Any) -> None:
        result.update(part)
        write_json(target, result)

    keep()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = [run_tests(folder, "-k", ON_GPU, "-m", "slow or not slow")]
        keep(tests=parts[0])
        statuses = []
        for part, command in BENCHMARKS.items():
            figures = folder / f"{part}.json"
            statuses.append(srwm("bench", *command, "--json", str(figures)))
            keep(**{part: json.loads(figures.read_text()) if figures.exists() else None})
        trained = train_and_resume(folder)
        keep(trained_and_resumed=trained)
        if shutil.which(SANITIZER[0]):
            for tool in ("memcheck", "racecheck"):
                parts.append(run_tests(folder, "-k", SMALL, under=[*SANITIZER, tool]))
                keep(**{tool: parts[-1]})
    tested = all(part["passed"] and not part["exit_status"] for part in parts)
    keep(good=tested and trained and not any(statuses))
    print(f"{'good' if result['good'] else 'NOT good'}: see {target}")
    return 0 if result["good"] else 1


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).parent.is_dir():
        sys.exit("usage: python -m launch.bench.check_gpu FILE, in a folder that exists")
    sys.exit(main(Path(sys.argv[1])))
