"""The kernels' code for GPUs, run without one: threads of the CPU are its lanes.

On a CPU a kernel keeps all lanes in one array and needs no barrier. Here those parts of the source
are run that only a GPU has (lanes.h, fast_weights.h), whose mistakes no other test without a GPU
would see.
"""

import ctypes
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import torch

from agents.ops import kernels
from agents.ops.kernels.compiled import HERE
from tests.agents import test_delta_op, test_srwm_kernel

EMULATION = Path(__file__).with_name("emulated_gpu.cpp")
COMPILER = shutil.which("g++") or shutil.which("clang++")

pytestmark = pytest.mark.skipif(not COMPILER, reason="there is no C++ compiler")


@pytest.fixture(autouse=True)
def emulated_gpu(monkeypatch, tmp_path):
    """Let the operators launch emulated kernels."""

    @cache
    def library(spec, device):
        name = spec.source.removesuffix(".cpp")
        target = tmp_path / f"{name}.so"
        command = [COMPILER, "-std=c++17", "-O1", "-fPIC", "-shared", "-pthread", *spec.macros]
        command += [f"-DFORWARD={name}_forward", f"-DBACKWARD={name}_backward"]
        command += [f'-DSOURCE="{HERE / spec.source}"', os.fspath(EMULATION)]
        subprocess.run([*command, "-o", os.fspath(target)], check=True)
        functions = ctypes.CDLL(os.fspath(target))

        def launch(entry, arguments, items):
            way = entry.removeprefix(name + "_")
            getattr(functions, f"launch_{way}")(ctypes.byref(arguments), items)

        return launch

    monkeypatch.setattr(kernels, "library", library)


# 49 outputs make three rows a lane; 24 and 32 columns take several warps.
SHAPES = [(16, 16), pytest.param(16, 49, marks=pytest.mark.slow), (24, 5)]
STEPS = kernels.SEGMENT + 2  # past a checkpoint


@pytest.mark.parametrize("size, outputs", [*SHAPES, pytest.param(32, 19, marks=pytest.mark.slow)])
def test_srwm(size, outputs):
    inputs = test_srwm_kernel.problem(STEPS, batch=2, heads=1, size=size, outputs=outputs)
    first = test_srwm_kernel.random_resets(STEPS, batch=2)
    assert first.any()
    test_srwm_kernel.assert_equal(
        test_srwm_kernel.kernel(inputs, first, "cpu"), test_srwm_kernel.truth(inputs, first)
    )


@pytest.mark.parametrize("size, outputs", [*SHAPES, (24, 73)])
def test_delta(size, outputs):
    inputs = test_delta_op.problem(STEPS, batch=2, heads=1, size=size, outputs=outputs)
    first = test_delta_op.random_resets(STEPS, batch=2)
    assert first.any()
    test_delta_op.assert_equal(*test_delta_op.both(inputs, first, "cpu"))


def test_bfloat16():
    base, x, shift = test_srwm_kernel.problem(4, batch=2, heads=1)
    inputs, first = [base, x.bfloat16(), shift], torch.tensor([[0, 0], [0, 1], [0, 0], [0, 0]]) > 0
    test_srwm_kernel.assert_equal(
        test_srwm_kernel.kernel(inputs, first, "cpu"),
        test_srwm_kernel.truth(inputs, first),
        forward=2**-8,
        gradients=2**-8,
    )
