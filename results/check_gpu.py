"""Check the kernels on a GPU, measure them and training, and write all that as one JSON file.

    make check-gpu [ARGS=FILE]          where make works
    python -m results.check_gpu FILE    elsewhere

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
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

FILES = [f"tests/agents/test_{name}.py" for name in ("srwm_kernel", "delta_op", "kernels_cuda")]
ON_GPU = "cuda or gpu or graph"
# Under the sanitizer a kernel is some hundred times slower: each path once. One and several warps
# a matrix, both types, resets around a checkpoint.
SMALL = (
    "cuda and not registers"
    " and (bfloat16 or one_output or checkpoint or (equals_the_reference and 63 and 32))"
)
# One node: worker and learner share the GPU, and the games have most of the cores.
NODE = ["launch.workers=1", "launch.envs_per_worker=1008", "learner.batch_size=168"]
NODE += ["launch.worker_gpus=0.5", "launch.learner_gpus=0.5"]
NODE += [f"envs.threads={max(1, (os.cpu_count() or 1) // 2 - 1)}"]
BENCHMARKS = {
    "core": ["core", "--device", "cuda"],
    "learner": ["learner", "paper-easy6"],
    "e2e": ["e2e", "paper-easy6", *NODE],
    "e2e_lstm": ["e2e", "paper-easy6", *NODE, "agent.core=lstm"],
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


def main(target: Path) -> int:
    """Run everything, whatever fails, and return the exit status."""
    if not torch.cuda.is_available():
        print("check_gpu: torch finds no GPU here", file=sys.stderr)
        return 2
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result["tests"] = run_tests(folder, "-k", ON_GPU, "-m", "slow or not slow")
        if shutil.which(SANITIZER[0]):
            for tool in ("memcheck", "racecheck"):
                under = [*SANITIZER, tool]
                result[tool] = run_tests(folder, "-k", SMALL, under=under)
        status = 0
        for name, command in BENCHMARKS.items():
            figures = folder / f"{name}.json"
            command = ["bench", *command, "--json", str(figures)]
            print("$ srwm", *command, flush=True)
            status |= subprocess.run([sys.executable, "-m", "launch", *command]).returncode
            result[name] = json.loads(figures.read_text()) if figures.exists() else None
    parts = [result[part] for part in ("tests", "memcheck", "racecheck") if part in result]
    good = not status and all(p["passed"] and not p["exit_status"] for p in parts)
    target.write_text(json.dumps({"good": good, **result}, indent=1) + "\n")
    print(f"{'good' if good else 'NOT good'}: see {target}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
