"""A learner's process keeps the memory that it frees."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from launch.flow.heap import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "kept" else True
if not kept:
    sys.exit(77)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(2**22)
before = faults()
for _ in range(100):
    torch.ones(2**22)  # 16 MB, 4096 pages
print(faults() - before)
"""


def page_faults(mode: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode],
        capture_output=True,
        text=True,
        env={"MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1"},
    )
    if done.returncode == 77:
        pytest.skip("the C library has no mallopt that takes these values")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_tensors_of_the_same_size_are_not_cleared_by_the_system_again() -> None:
    assert page_faults("kept") < 20 * 4096
    assert page_faults("returned") > 90 * 4096
