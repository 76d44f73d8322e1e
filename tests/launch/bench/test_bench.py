"""The benchmark of cores and kernels, at a size that says nothing about speed."""

import itertools
import json

import pytest
import torch

from agents.config import AgentConfig
from agents.cores import CORES
from launch.bench import check_gpu, problems
from launch.bench.problems import Problem, Unroll
from launch.machine.timing import medians, rounds, saved_bytes
from tests.launch.runs import ROOT, main

STACK = {"hidden_size": 16, "heads": 2, "layers": 1, "feedforward_factor": 1}
TINY = Problem(
    AgentConfig.model_validate({"srwm": STACK, "delta": STACK, "lstm": {"hidden_size": 4}}),
    inputs=3,
    unroll=Unroll(3, 2, 2, 8),
    long=Unroll(5, 1, 1, 8),
    wide=Unroll(2, 3, 2, 8),
)


def test_the_command_writes_what_it_prints(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(problems.PAPER, "cpu", TINY)
    assert main("bench", "core", "--seconds", "1", "--json", "core.json") == 0
    result = json.loads((tmp_path / "core.json").read_text())
    assert result["device"] == "cpu"
    assert result["threads"] == 1
    assert result["torch"] == torch.__version__
    assert result["problem"]["agent"]["lstm"]["hidden_size"] == 4
    assert {"date", "cpu", "cores", "gpu", "python"} <= result.keys()

    cores = {(row["core"], row["way"]): row for row in result["by_core"]}
    assert {name for name, _ in cores} == {*CORES}
    assert {"fused", "reference"} == {way for name, way in cores if name == "srwm"}
    assert [way for name, way in cores if name == "lstm"] == ["torch"]
    lstm, srwm = cores["lstm", "torch"], cores["srwm", "fused"]
    assert srwm["both_over_lstm"] == pytest.approx(srwm["both"] / lstm["both"])

    assert {(row["op"], row["way"]) for row in result["ops"]} == {
        (op, way) for op in ("srwm", "delta") for way in ("fused", "reference")
    }
    assert all(row["forward"] > 0 and row["saved_bytes"] > 0 for row in result["ops"])
    paper, long, _ = (row for row in result["ops"] if (row["op"], row["way"]) == ("srwm", "fused"))
    assert paper["backward"] < paper["both"]
    assert (long["steps"], long["batch"]) == (5, 1)
    # 5 steps, each three products with a matrix of 8 + 8 + 8 + 4 rows and 8 columns
    assert long["forward_flops"] * long["forward"] == pytest.approx(5 * 3 * 2 * 28 * 8)

    printed = capsys.readouterr().out
    assert f"the SRWM core takes {srwm['both_over_lstm']:.2f} of the LSTM's time" in printed
    reference = next(row for row in result["ops"] if row["way"] == "reference")
    assert f"{reference['both_over_fused']:.1f} times as fast fused" in printed


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(capsys):
    assert main("bench", "core", "--device", "cuda") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "srwm: --device cuda: torch finds no GPU here; --device cpu would work"


def test_candidates_take_turns_and_short_ones_are_repeated(monkeypatch):
    now = 0.0
    calls = []
    monkeypatch.setattr("launch.machine.timing.time.process_time", lambda: now)

    def work(name, durations):
        def run():
            nonlocal now
            now += next(durations, 1.0)
            calls.append(name)

        return run

    # a first call and a second are not counted; the third of "slow" falls into a bad moment
    slow = work("slow", iter([9.0, 1.0, 1.0, 1.0, 7.0]))
    short = work("short", iter([9.0, *[2**-10] * 99]))  # three times to be as long as 2 ms
    times = medians({"slow": slow, "short": short}, seconds=0, device=torch.device("cpu"))
    assert times == {"slow": 1.0, "short": 2**-10}
    assert calls == ["slow"] * 2 + ["short"] * 2 + ["slow", "short", "short", "short"] * 5


def test_saved_bytes_are_counted_once():
    x = torch.ones(10, requires_grad=True)
    assert saved_bytes(lambda: x.exp()) == 40  # its result
    assert saved_bytes(lambda: x * x) == 40  # x, twice
    assert saved_bytes(lambda: x[:3] * x[5:].sum()) == 40 + 4  # two views of x, and a number
    assert saved_bytes(lambda: x + 1) == 0


def test_rounds_last_for_the_seconds_and_are_never_too_few(monkeypatch):
    clock = itertools.count(0, 10)
    monkeypatch.setattr("launch.machine.timing.time.perf_counter", lambda: next(clock))
    assert list(rounds(seconds=0, fewest=3)) == [0, 1, 2]
    assert list(rounds(seconds=40, fewest=1)) == [0, 1, 2, 3]


def test_the_check_on_a_gpu_runs_tests_that_exist():
    assert all((ROOT / file).is_file() for file in check_gpu.FILES)
