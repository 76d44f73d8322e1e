"""Measure the GPU registers that the kernels take, from the compiler's log; no GPU is needed.

python -m launch.bench.registers docs/results/bench/registers.json
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from agents.ops.kernels import cuda
from agents.ops.kernels.spec import Spec
from launch.report.files import write_json

ARCHITECTURES = ["sm_80", "sm_90"]  # A100, H100
# D, E; a self-referential Delta Net has E = 49
SIZES = [(16, 16), (16, 49), (24, 24), (32, 32)]
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SOURCES = {"srwm.cpp": lambda size, outputs: 2 * size + outputs + 4, "delta.cpp": lambda _, e: e}

REGISTERS = 16384  # of a quarter of a multiprocessor, which has warps of its own
UNIT = 8  # a lane's registers are handed out in eights


class Usage(NamedTuple):
    """What one entry point takes."""

    registers: int  # a lane
    local_bytes: int  # a lane: arrays and spilled registers that live in memory
    shared_bytes: int  # a block
    warps: int  # a block
    warps_per_multiprocessor: int  # that its registers allow at once


def usage(source: str, size: int, outputs: int, dtype: str, architecture: str) -> dict[str, Usage]:
    """Compile a kernel and return what each of its entry points takes."""
    rows = SOURCES[source](size, outputs)
    spec = Spec(source, rows, size, outputs, TYPES[dtype])
    _, log = cuda.compile(spec, architecture)
    result = {}
    for part in log.split("Compiling entry function '")[1:]:
        registers = _number(r"Used (\d+) registers", part)
        local = _number(r"(\d+) bytes stack frame", part)
        shared = _number(r"(\d+) bytes smem", part)
        quarter = REGISTERS // (32 * UNIT * -(-registers // UNIT))
        warps = 4 * quarter // spec.warps * spec.warps
        result[part.split("'")[0]] = Usage(registers, local, shared, spec.warps, warps)
    return result


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if not found:
        raise ValueError(f"the compiler's log has no {pattern!r}: {text}")
    return int(found[1])


def main(target: Path) -> None:
    """Write the usage of every kernel, and print it."""
    rows = []
    for source, (size, outputs), dtype, architecture in itertools.product(
        SOURCES, SIZES, TYPES, ARCHITECTURES
    ):
        for entry, used in usage(source, size, outputs, dtype, architecture).items():
            row = {"entry": entry, "D": size, "E": outputs, "dtype": dtype}
            rows.append({**row, "architecture": architecture, **used._asdict()})
            print(*rows[-1].values(), sep="\t")
    write_json(target, rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
