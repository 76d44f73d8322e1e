"""How kernels come to a GPU: what NVRTC makes of them, and how they are launched.

All but the last tests need no GPU: device code is compiled without one, and the driver is replaced
by one that records what it is asked for.
"""

import ctypes
import re
import sys
import threading
from types import SimpleNamespace

import pytest
import torch

from agents.ops import kernels
from agents.ops.kernels import cuda
from agents.ops.kernels.spec import KernelUnavailableError, Spec
from agents.ops.srwm import fused
from launch.bench import registers

bindings = pytest.importorskip("cuda.bindings", reason="NVRTC is not installed: extra `cuda`")

SPEC = Spec("srwm.cpp", rows=52, size=16, outputs=16, dtype=torch.float32)
FIRST_PARAMETER = 352  # byte of constant bank 0 from which sm_80 keeps a kernel's parameters
QUICK = [*((16, 16, dtype) for dtype in registers.TYPES), (16, 49, "float32"), (32, 32, "float32")]
OTHERS = [(*s, dtype) for s in registers.SIZES for dtype in registers.TYPES]


@pytest.mark.parametrize("architecture", registers.ARCHITECTURES)
@pytest.mark.parametrize("source", registers.SOURCES)
@pytest.mark.parametrize(
    "size, outputs, dtype",
    [*QUICK, *(pytest.param(*o, marks=pytest.mark.slow) for o in OTHERS if o not in QUICK)],
)
def test_registers_suffice(source, size, outputs, dtype, architecture):
    """Two warps for each of the four schedulers hide some latency; at the paper's size, three.

    A multiprocessor has 65536 registers. For the paper's batch, 256 warps on 108 or 132
    multiprocessors, any number would do.
    """
    entries = registers.usage(source, size, outputs, dtype, architecture)
    assert set(entries) == {f"{source[:-4]}_{way}" for way in ("forward", "backward")}
    for entry, used in entries.items():
        print(entry, used)
        # Where a lane needs all 255, the compiler, which does not always decide alike, may keep one
        # or two of them in memory.
        assert used.local_bytes <= (8 if used.registers == 255 else 0)
        assert used.warps_per_multiprocessor >= (12 if outputs == 16 else 8)


def test_arguments_are_as_long_as_the_kernels_expect(monkeypatch):
    lengths = {}

    def launch(entry, arguments, items):
        lengths[entry] = ctypes.sizeof(arguments)

    monkeypatch.setattr(kernels, "library", lambda spec, device: launch)
    base, shift = torch.randn(2, 52, 16), torch.randn(3, 2, 52, 16)
    x, first = torch.randn(5, 3, 2, 16, requires_grad=True), torch.zeros(5, 3, dtype=torch.bool)
    fused.srwm(base, x, first, shift)[0].sum().backward()

    _, log = cuda.compile(SPEC, "sm_80")
    expected = dict(re.findall(r"function '(\w+)'(?:.|\n)*?(\d+) bytes cmem\[0\]", log))
    assert lengths == {name: int(end) - FIRST_PARAMETER for name, end in expected.items()}


def test_what_the_compiler_refuses_is_told_in_one_line():
    with pytest.raises(KernelUnavailableError) as architecture:
        cuda.compile(SPEC, "sm_10")
    with pytest.raises(KernelUnavailableError) as source:
        cuda.compile(Spec("srwm.cpp", 52, 16, -20, torch.float32), "sm_90")
    for error, words in ((architecture, "gpu-architecture"), (source, "error: the size of an arr")):
        assert words in str(error.value)
        assert "\n" not in str(error.value)


def fail(*_):
    raise RuntimeError("libnvrtc.so was not found")


@pytest.mark.parametrize("missing", ["the bindings", "the library"])
@pytest.mark.parametrize(
    "torch_cuda, wheels",
    [
        ("13.0", "'cuda-bindings==13.*' 'nvidia-cuda-nvrtc==13.*'"),
        ("12.6", "'cuda-bindings==12.*' 'nvidia-cuda-nvrtc-cu12==12.*'"),
    ],
)
def test_a_missing_wheel_is_named(monkeypatch, missing, torch_cuda, wheels):
    if missing == "the bindings":
        monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    else:
        monkeypatch.setattr(bindings, "nvrtc", SimpleNamespace(nvrtcVersion=fail))
    monkeypatch.setattr(torch.version, "cuda", torch_cuda)
    with pytest.raises(KernelUnavailableError) as error:
        cuda.load(SPEC, 0, (9, 0))
    assert str(error.value) == f"NVRTC is missing: pip install {wheels}"


class Driver:
    """Answers as CUDA's driver does, and records what it is asked for."""

    def __init__(self):
        self.version = 13000
        self.contexts = []
        self.launches = []
        self.broken = None

    def __getattr__(self, name):
        def call(*arguments):
            if name == self.broken:
                return (SimpleNamespace(value=1, name="CUDA_ERROR_INVALID_VALUE"),)
            values = {
                "cuDriverGetVersion": [self.version],
                "cuDeviceGet": ["device", *arguments],
                "cuDevicePrimaryCtxRetain": ["context"],
                "cuModuleLoadData": [*arguments],
                "cuModuleGetFunction": [arguments],
            }.get(name, [])
            if name == "cuCtxPushCurrent":
                self.contexts.append(arguments[0])
            elif name == "cuCtxPopCurrent":
                values = [self.contexts.pop()]
            elif name == "cuLaunchKernel":
                assert self.contexts == ["context"]
                self.launches.append(arguments)
                # What the one parameter's address leads to, as the driver copies it.
                (address,) = ctypes.cast(arguments[-2], ctypes.POINTER(ctypes.c_void_p * 1))[0]
                self.copied = Arguments.from_buffer_copy(
                    ctypes.string_at(address, ctypes.sizeof(Arguments))
                )
            return (SimpleNamespace(value=0, name="CUDA_SUCCESS"), *values)

        return call


class Arguments(ctypes.Structure):
    _fields_ = (("pointer", ctypes.c_void_p), ("steps", ctypes.c_int), ("batch", ctypes.c_int))


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """Replace the driver, torch's stream and the compiler, which counts its runs."""
    driver = Driver()
    driver.compiled = []

    def compile(spec, architecture):
        driver.compiled.append((spec, architecture))
        return f"code of {architecture}".encode(), ""

    monkeypatch.setenv("SRWM_CACHE", str(tmp_path))
    monkeypatch.setattr(bindings, "driver", driver, raising=False)
    monkeypatch.setattr(cuda, "compile", compile)
    monkeypatch.setattr(cuda, "_nvrtc_version", lambda: (13, 0))
    stream = SimpleNamespace(cuda_stream=77)
    monkeypatch.setattr(torch.cuda, "current_stream", {1: stream}.__getitem__)
    return driver


def test_a_launch_is_what_the_driver_needs(driver):
    spec = Spec("srwm.cpp", rows=100, size=32, outputs=32, dtype=torch.float32)
    cuda.load(spec, 1, (9, 0))("srwm_forward", Arguments(1 << 40, 50, 32), items=256)
    (launch,) = driver.launches
    function, *grid_and_block, shared, stream, _, extra = launch
    assert function == (b"code of sm_90", b"srwm_forward")
    assert grid_and_block == [256, 1, 1, 32 * spec.warps, 1, 1]
    assert (shared, stream, extra) == (0, 77, 0)
    assert (driver.copied.pointer, driver.copied.steps, driver.copied.batch) == (1 << 40, 50, 32)
    assert driver.contexts == []


def test_no_items_are_no_launch(driver):
    cuda.load(SPEC, 1, (9, 0))("srwm_forward", Arguments(), items=0)
    assert driver.launches == []


@pytest.mark.parametrize("broken", ["cuModuleGetFunction", "cuLaunchKernel"])
def test_a_failed_launch_is_an_error_and_leaves_the_context_as_it_was(driver, broken):
    launch = cuda.load(SPEC, 1, (9, 0))
    driver.broken = broken
    with pytest.raises(RuntimeError, match=f"^GPU 1, {broken}: CUDA_ERROR_INVALID_VALUE$"):
        launch("srwm_forward", Arguments(), 1)
    assert driver.contexts == []


def test_code_that_cannot_be_loaded_leaves_it_to_the_reference(driver):
    driver.broken = "cuModuleLoadData"
    with pytest.raises(KernelUnavailableError, match=r"^GPU 1, cuModuleLoadData: "):
        cuda.load(SPEC, 1, (9, 0))
    assert driver.contexts == []


def test_a_driver_older_than_nvrtc_is_told_what_fits_it(driver):
    driver.version = 12040
    with pytest.raises(KernelUnavailableError) as error:
        cuda.load(SPEC, 1, (9, 0))
    assert str(error.value) == (
        "the driver of GPU 1 takes code of CUDA 12, and NVRTC makes that of CUDA 13: "
        "pip install 'cuda-bindings==12.*' 'nvidia-cuda-nvrtc-cu12==12.*'"
    )


def test_code_is_compiled_once_for_each_gpu_and_compiler(driver, monkeypatch):
    for _ in range(2):
        cuda.load(SPEC, 1, (9, 0))
    cuda.load(SPEC, 1, (8, 0))
    assert driver.compiled == [(SPEC, "sm_90"), (SPEC, "sm_80")]
    monkeypatch.setattr(cuda, "_nvrtc_version", lambda: (13, 1))
    cuda.load(SPEC, 1, (9, 0))
    monkeypatch.setattr(cuda, "FLAGS", [*cuda.FLAGS, "--fmad=false"])
    cuda.load(SPEC, 1, (9, 0))
    assert len(driver.compiled) == 4


# ------------------------------------------------------------------------------------- on a GPU

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def problem(seed=0):
    """Return base, x, first and shift on the GPU."""
    generator = torch.Generator("cuda").manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, device="cuda")

    first = normal(70, 3) > 1.5
    return normal(5, 52, 16), normal(70, 3, 5, 16).softmax(-1), first, 0.3 * normal(3, 5, 52, 16)


def forward_and_backward(base, x, first, shift):
    inputs = [tensor.detach().requires_grad_() for tensor in (base, x, shift)]
    outputs = fused.srwm(inputs[0], inputs[1], first, inputs[2])
    return [*outputs, *torch.autograd.grad([o.square().sum() for o in outputs], inputs)]


@on_a_gpu
def test_a_cuda_graph_replays_both_passes_on_new_inputs():
    places, other = problem(0), problem(1)
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):  # as torch wants it: what is made once is made before
        forward_and_backward(*places)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = forward_and_backward(*places)
    for inputs in (other, problem(2)):
        for place, new in zip(places, inputs, strict=True):
            place.copy_(new)
        graph.replay()
        torch.testing.assert_close(captured, forward_and_backward(*inputs), rtol=0, atol=0)


@on_a_gpu
def test_a_thread_that_never_used_the_gpu_may_launch():
    arguments, results = problem(), []
    expected = forward_and_backward(*arguments)
    thread = threading.Thread(target=lambda: results.extend(forward_and_backward(*arguments)))
    thread.start()
    thread.join()
    torch.testing.assert_close(results, expected, rtol=0, atol=0)
