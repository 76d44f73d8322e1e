"""Kernels on a GPU: NVRTC, from a pip wheel, makes device code of the source."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from agents.ops.kernels.compiled import HEADERS, HERE, cached
from agents.ops.kernels.spec import KernelUnavailableError, Launch, Spec

FLAGS = [
    "-std=c++17",
    # A division is otherwise a call, and an exponential has a branch for subnormal numbers.
    *("--prec-div=false", "--ftz=true"),
    "--ptxas-options=-v",  # the log tells registers and spills
]
log = logging.getLogger(__name__)


def load(spec: Spec, index: int, capability: tuple[int, int]) -> Launch:
    """Compile `spec` unless it is in the cache, and return what launches its entry points.

    A launch goes to torch's current stream on the device. It neither waits nor allocates, so it can
    be captured in a CUDA graph.

    Args:
        spec: the kernel.
        index: the device's, among those that torch sees.
        capability: the device's compute capability.

    Raises:
        KernelUnavailableError: if NVRTC is not installed, it fails, or its code is not for the
            device's driver.
    """
    architecture = "sm_{}{}".format(*capability)
    version = _nvrtc_version()

    def build(target: Path) -> None:
        log.info("compiling %s for %s (head size %d, once)", spec.source, architecture, spec.size)
        target.write_bytes(compile(spec, architecture)[0])

    path = cached(spec, build, ".cubin", architecture, "{}.{}".format(*version), *FLAGS)

    from cuda.bindings import driver  # it is installed: NVRTC has answered

    call = _checked(driver, f"GPU {index}", KernelUnavailableError)
    supported = call("cuDriverGetVersion") // 1000
    if version[0] > supported:
        raise KernelUnavailableError(
            f"the driver of GPU {index} takes code of CUDA {supported}, and NVRTC makes that of "
            f"CUDA {version[0]}: {_how_to_install(supported)}"
        )
    # The device's primary context is torch's, but a thread that never used torch has none.
    context = call("cuDevicePrimaryCtxRetain", call("cuDeviceGet", index))
    call("cuCtxPushCurrent", context)
    try:
        module = call("cuModuleLoadData", path.read_bytes())
    finally:
        call("cuCtxPopCurrent")
    run = _checked(driver, f"GPU {index}", RuntimeError)
    function = cache(lambda name: run("cuModuleGetFunction", module, name.encode()))

    def launch(name: str, arguments: ctypes.Structure, items: int) -> None:
        if not items:
            return
        parameters = ctypes.c_void_p(ctypes.addressof(arguments))  # an array of one pointer
        grid, block, shared = (items, 1, 1), (32 * spec.warps, 1, 1), 0
        stream = torch.cuda.current_stream(index).cuda_stream
        run("cuCtxPushCurrent", context)
        try:
            where = (function(name), *grid, *block, shared, stream)
            run("cuLaunchKernel", *where, ctypes.addressof(parameters), 0)
        finally:
            run("cuCtxPopCurrent")

    return launch


def compile(spec: Spec, architecture: str) -> tuple[bytes, str]:
    """Return the cubin of `spec` for an architecture such as "sm_90", and the compiler's log.

    It needs no GPU and no driver. The log holds what `ptxas -v` says: the registers, spills and
    shared memory of each entry point.

    Raises:
        KernelUnavailableError: if NVRTC is not installed, or it fails.
    """
    major, minor = _nvrtc_version()
    from cuda.bindings import nvrtc

    call = _checked(nvrtc, f"NVRTC {major}.{minor}", KernelUnavailableError)

    def read(what: str) -> bytes:
        buffer = bytes(call(f"nvrtcGet{what}Size", program))
        call(f"nvrtcGet{what}", program, buffer)  # fills it, as its documentation has it
        return buffer

    names = [name.encode() for name in HEADERS]
    headers = [(HERE / name).read_bytes() for name in HEADERS]
    source = (HERE / spec.source).read_bytes()
    program = call("nvrtcCreateProgram", source, spec.source.encode(), len(names), headers, names)
    try:
        options = [f"--gpu-architecture={architecture}", *FLAGS, *spec.macros]
        try:
            call("nvrtcCompileProgram", program, len(options), [o.encode() for o in options])
        except KernelUnavailableError as error:
            lines = read("ProgramLog").decode().splitlines()
            reason = next((line for line in lines if "error" in line), "")
            raise KernelUnavailableError(f"{error} for {architecture}: {reason.strip()}") from None
        return read("CUBIN"), read("ProgramLog").decode().rstrip("\0")
    finally:
        call("nvrtcDestroyProgram", program)


def _checked(api: Any, who: str, failure: type[Exception]) -> Callable[..., Any]:
    """Return what calls a CUDA library's function by name, and raises `failure` if that failed."""

    def call(name: str, *arguments: Any) -> Any:
        error, *values = getattr(api, name)(*arguments)
        if error.value:
            raise failure(f"{who}, {name}: {error.name}")
        return values[0] if values else None

    return call


def _nvrtc_version() -> tuple[int, int]:
    try:
        from cuda.bindings import nvrtc

        _, major, minor = nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError):  # no bindings; no library that they could load
        major = int((torch.version.cuda or "13").split(".")[0])
        raise KernelUnavailableError(f"NVRTC is missing: {_how_to_install(major)}") from None
    return major, minor


def _how_to_install(major: int) -> str:
    """Each major version of CUDA has its own bindings, which find only their own NVRTC."""
    library = "nvidia-cuda-nvrtc-cu12" if major == 12 else "nvidia-cuda-nvrtc"
    return f"pip install 'cuda-bindings=={major}.*' '{library}=={major}.*'"
