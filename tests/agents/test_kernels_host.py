"""How kernels come to a CPU: compiled once, kept, and done without where that fails."""

import ctypes
import logging
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from agents.ops.kernels import compiled, host
from agents.ops.kernels.spec import KernelUnavailableError, Spec

SOURCE = """
struct Arguments { float* a; int steps, batch, heads; };
extern "C" void run(const Arguments* arguments, int threads) {
  for (int i = 0; i < arguments->steps; i++) arguments->a[i] = D * (i + 1) + threads;
}
"""

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="there is no compiler"
)


class Arguments(ctypes.Structure):
    _fields_ = (
        ("a", ctypes.c_void_p),
        *((name, ctypes.c_int) for name in ("steps", "batch", "heads")),
    )


@pytest.fixture
def spec(tmp_path):
    """A kernel that compiles in no time."""
    source = tmp_path / "kernel.cpp"
    source.write_text(SOURCE)
    return Spec(str(source), rows=8, size=3, outputs=1, dtype=torch.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SRWM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def compiler_runs(monkeypatch):
    """Return the list of commands with which the compiler has been run."""
    commands, run = [], subprocess.run

    def count(command, **options):
        commands.append(command)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", count)
    return commands


def result(spec, items=1):
    numbers = torch.zeros(4)
    host.load(spec)("run", Arguments(numbers.data_ptr(), 4, 1, 1), items)
    return numbers.tolist()


def test_a_kernel_is_compiled_once(spec, folder, compiler_runs):
    for _ in range(3):
        assert result(spec) == [4, 7, 10, 13]
    assert len(compiler_runs) == 1
    assert len(list(folder.iterdir())) == 1


def test_as_many_threads_as_torch_has_and_the_work_is_worth(spec):
    torch.set_num_threads(3)  # until the end of this test, see conftest.py
    for items, threads in ((1, 1), (63, 1), (64, 2), (96, 3), (9999, 3)):
        assert result(spec, items) == [threads + n for n in (3, 6, 9, 12)]


def test_what_is_new_is_compiled(spec, folder, tmp_path, compiler_runs, monkeypatch):
    result(spec)
    assert result(Spec(spec.source, 8, 5, 1, torch.float32)) == [6, 11, 16, 21]  # another size
    (tmp_path / "kernel.cpp").write_text(SOURCE.replace("+ threads", "- threads"))
    assert result(spec) == [2, 5, 8, 11]  # another source
    monkeypatch.setattr(host, "FLAGS", [*host.FLAGS, "-DNEW"])
    result(spec)
    monkeypatch.setattr(host, "_cpu", lambda: "another processor")
    result(spec)
    monkeypatch.setenv("CXX", "g++ -DOTHER")  # another compiler
    result(spec)
    for name in compiled.HEADERS:
        shutil.copy(compiled.HERE / name, tmp_path)
    monkeypatch.setattr(compiled, "HERE", tmp_path)
    result(spec)  # the same headers elsewhere
    assert len(compiler_runs) == 6
    for name in compiled.HEADERS:
        with (tmp_path / name).open("a") as header:
            header.write("// new\n")
        result(spec)
    assert len(compiler_runs) == len(list(folder.iterdir())) == 6 + len(compiled.HEADERS)


@pytest.mark.parametrize("damage", ["empty", "cut short", "one byte"])
def test_a_damaged_file_is_compiled_again(spec, folder, compiler_runs, damage):
    result(spec)
    (path,) = folder.iterdir()
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    # To load a library that was cut short ends the process: it must not be tried.
    path.unlink()
    path.write_bytes({"empty": b"", "cut short": data[:4096], "one byte": data}[damage])
    for _ in range(2):
        assert result(spec) == [4, 7, 10, 13]
    assert len(compiler_runs) == 2
    assert len(list(folder.iterdir())) == 1


def test_several_may_compile_at_once(spec, folder, monkeypatch):
    """Each writes its own file, and none loads what another has not finished."""
    all_compile, run = Barrier(3, timeout=60), subprocess.run

    def wait(command, **options):
        all_compile.wait()
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", wait)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(result, [spec] * 3))
    assert results == [[4, 7, 10, 13]] * 3
    assert all(path.suffix == ".so" for path in folder.iterdir())


def test_a_folder_that_cannot_be_written_is_done_without(spec, folder, compiler_runs, caplog):
    folder.write_text("this is no folder")
    with caplog.at_level(logging.WARNING):
        assert result(spec) == [4, 7, 10, 13]
    (record,) = caplog.records
    assert record.getMessage().startswith("a compiled kernel cannot be kept: ")
    assert str(folder) in record.getMessage()


def test_a_folder_that_is_only_read_serves(spec, folder, compiler_runs, monkeypatch):
    result(spec)

    def refuse(*_, **__):
        raise PermissionError("read only")

    monkeypatch.setattr(compiled.tempfile, "TemporaryDirectory", refuse)
    assert result(spec) == [4, 7, 10, 13]
    assert len(compiler_runs) == 1


@pytest.mark.parametrize(
    "variables, folder",
    [
        ({"SRWM_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/srwm"),
        ({"HOME": "/c"}, "/c/.cache/srwm"),
    ],
)
def test_where_the_cache_is(monkeypatch, variables, folder):
    for name in ("SRWM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(next(iter(compiled._folders()))) == folder


def test_an_error_of_the_compiler_is_told_in_one_line(spec, folder, tmp_path):
    (tmp_path / "kernel.cpp").write_text("int broken = ;\nint more = ;\n")
    with pytest.raises(KernelUnavailableError, match=r"^\S+ failed: .*kernel\.cpp:1.* error: .*$"):
        host.load(spec)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "compiler, reason",
    [
        ("false", "^/.*/false failed: "),
        ("true", "^no folder for it can be written"),  # it writes nothing, and says nothing
    ],
)
def test_a_compiler_that_does_not_compile(spec, monkeypatch, compiler, reason):
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(KernelUnavailableError, match=reason):
        host.load(spec)


def test_no_compiler(spec, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(KernelUnavailableError, match=r"^no C\+\+ compiler was found"):
        host.load(spec)


def test_the_compiler_may_have_options(spec, monkeypatch, compiler_runs):
    monkeypatch.setenv("CXX", "g++ -DD=7 -UD")
    assert result(spec) == [4, 7, 10, 13]
    (command,) = compiler_runs
    assert command[1:3] == ["-DD=7", "-UD"]
    assert os.path.isabs(command[0])
