"""What `srwm bench core` measured, and how it is shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from rich.table import Table

from launch.bench.problems import Problem
from launch.bench.targets import Figure
from launch.machine.facts import machine
from launch.report.table import table


class CoreRow(NamedTuple):
    """Seconds of a core over an unroll."""

    core: str
    way: str  # "fused" or "reference"; "torch" where there are no fast weights
    forward: float  # without gradients
    both: float  # forward and backward
    forward_over_lstm: float
    both_over_lstm: float


class OpRow(NamedTuple):
    """Seconds of an op over an unroll, which is one layer's."""

    op: str
    way: str  # "fused": on a GPU replayed as a CUDA graph, so without Python's time; "reference"
    forward: float  # without gradients
    backward: float  # `both` less a forward pass that keeps what the backward pass needs
    both: float
    both_over_fused: float
    forward_cycles: float | None  # a step: of one matrix on a CPU thread, of all at once on a GPU
    backward_cycles: float | None
    saved_bytes: int  # for the backward pass, arguments and results among them


class LoopRow(NamedTuple):
    """Seconds of an unroll of the SRWM and the softmax before it, as Python calls them."""

    way: str  # "whole unroll", "a fused call a step" or "a reference call a step"
    forward: float
    both: float
    both_over_whole: float


class SizeRow(NamedTuple):
    """Seconds of a fused op on another unroll, and floating-point operations a second."""

    op: str
    steps: int
    batch: int
    heads: int
    forward: float
    both: float
    forward_flops: float
    both_flops: float


@dataclass(frozen=True)
class CoreSpeed:
    """All that was measured on one device."""

    device: str
    clock: float | None  # Hz
    clock_source: str
    cores: list[CoreRow]
    ops: list[OpRow]
    loops: list[LoopRow]
    sizes: list[SizeRow]

    @property
    def figures(self) -> list[Figure]:
        """The figures that this project wants to reach; those of a GPU are meant for an H100."""
        op = {row.way: row for row in self.ops if row.op == "srwm"}
        core = {row.way: row for row in self.cores if row.core == "srwm"}
        loop = {row.way: row for row in self.loops}
        lstm = Figure("srwm core / LSTM core", core["fused"].both_over_lstm, "at most", 1)
        if self.device == "cpu":
            return [
                Figure("reference / fused", op["reference"].both_over_fused, "at least", 5),
                lstm,
            ]
        stepwise = loop["a fused call a step"].both / op["fused"].both
        return [
            Figure("forward of a layer, us", op["fused"].forward * 1e6, "at most", 25),
            Figure("backward of a layer, us", op["fused"].backward * 1e6, "at most", 75),
            Figure("a fused call a step / fused", stepwise, "at least", 100),
            lstm,
        ]

    def as_dict(self, problem: Problem) -> dict[str, object]:
        """Return all of it with the machine and the problem it belongs to; times in seconds."""
        return {
            **machine(),
            "device": self.device,
            "threads": torch.get_num_threads(),
            "clock": self.clock,
            "clock_source": self.clock_source,
            "figures": [figure.as_dict() for figure in self.figures],
            "by_core": [row._asdict() for row in self.cores],
            "ops": [row._asdict() for row in self.ops],
            "loops": [row._asdict() for row in self.loops],
            "sizes": [row._asdict() for row in self.sizes],
            "problem": {**asdict(problem), "agent": problem.agent.model_dump(mode="json")},
        }


def result_tables(result: CoreSpeed) -> list[Table]:
    """Return the figures as tables: milliseconds of the passes, narrow enough for a log."""
    forward, backward, both = "fwd ms", "bwd ms", "fwd+bwd ms"
    return [
        table(
            ["core", ""],
            [forward, "/ LSTM", both, "/ LSTM"],
            (
                (
                    *(r.core, r.way),
                    *(_ms(r.forward), f"{r.forward_over_lstm:.2f}"),
                    *(_ms(r.both), f"{r.both_over_lstm:.2f}"),
                )
                for r in result.cores
            ),
        ),
        table(
            ["op", ""],
            [forward, "cycles a step", backward, "cycles a step", both, "/ fused", "saved MB"],
            (
                (
                    *(r.op, r.way),
                    *(_ms(r.forward), _count(r.forward_cycles)),
                    *(_ms(r.backward), _count(r.backward_cycles)),
                    *(_ms(r.both), f"{r.both_over_fused:.1f}", f"{r.saved_bytes / 1e6:.1f}"),
                )
                for r in result.ops
            ),
        ),
        table(
            ["srwm, from Python"],
            [forward, both, "/ whole unroll"],
            (
                (r.way, _ms(r.forward), _ms(r.both), f"{r.both_over_whole:.1f}")
                for r in result.loops
            ),
        ),
        table(
            ["op, fused", ""],
            [forward, "GFLOP/s", both, "GFLOP/s"],
            (
                (
                    *(r.op, f"T={r.steps} B={r.batch} H={r.heads}"),
                    *(_ms(r.forward), _count(r.forward_flops / 1e9)),
                    *(_ms(r.both), _count(r.both_flops / 1e9)),
                )
                for r in result.sizes
            ),
        ),
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}"


def _count(number: float | None) -> str:
    return "?" if number is None else f"{number:,.0f}"
