"""`srwm bench core`: measure every core and the ops beneath, fused and in plain PyTorch.

No episode opens inside the unrolls: an LSTM would have to be run in pieces, and look slower than it
is. As in training, gradients reach parameters and inputs, and only the outputs have a cotangent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

import torch
from rich.table import Table
from torch import Tensor

from agents.cores import CORES, Core, State
from agents.ops.kernels import references_only
from agents.ops.srwm import fused
from launch.bench.flops import BACKWARD, fast_weight_flops
from launch.bench.problems import OPS, Problem, Unroll, draw_srwm, passes
from launch.errors import RunError, UserError
from launch.machine.timing import Work, medians, replayed, saved_bytes
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
    """Seconds of an op over an unroll, which is one layer's, and what they come to."""

    op: str
    way: str  # "fused": on a GPU replayed as a CUDA graph, so without Python's time; "reference"
    steps: int
    batch: int
    heads: int
    forward: float  # without gradients
    backward: float  # `both` less a forward pass that keeps what the backward pass needs
    both: float
    both_over_fused: float
    forward_flops: float  # a second
    both_flops: float
    saved_bytes: int  # for the backward pass, arguments and results among them


@dataclass(frozen=True)
class CoreSpeed:
    """All that was measured on one device."""

    device: str
    problem: Problem
    cores: list[CoreRow]
    ops: list[OpRow]

    def as_dict(self) -> dict[str, object]:
        """Return all of it; times in seconds."""
        return {
            "device": self.device,
            "threads": torch.get_num_threads(),
            "by_core": [row._asdict() for row in self.cores],
            "ops": [row._asdict() for row in self.ops],
            "problem": {
                **asdict(self.problem),
                "agent": self.problem.agent.model_dump(mode="json"),
            },
        }

    def tables(self) -> list[Table]:
        """Return milliseconds of the passes."""
        cores = [
            (r.core, r.way, r.forward * 1e3, r.forward_over_lstm, r.both * 1e3, r.both_over_lstm)
            for r in self.cores
        ]
        core_columns = [("core", ""), ("", ""), ("fwd ms", ".3f"), ("/ LSTM", ".2f")]
        core_columns += [("both ms", ".3f"), ("/ LSTM", ".2f")]
        # Narrow enough for 80 columns.
        ops = [
            (
                *(f"{r.op} {r.way}", f"{r.steps} {r.batch} {r.heads}"),
                *(r.forward * 1e3, r.backward * 1e3, r.both * 1e3),
                *(r.both_flops / 1e9, r.saved_bytes / 1e6),
            )
            for r in self.ops
        ]
        op_columns = [("op", ""), ("T B H", ""), ("fwd ms", ".3f"), ("bwd ms", ".3f")]
        op_columns += [("both ms", ".3f"), ("GFLOP/s", ",.0f"), ("saved MB", ".1f")]
        return [table(core_columns, cores), table(op_columns, ops)]

    def summary(self) -> str:
        """Return one line: the SRWM against the LSTM, and against plain PyTorch."""
        core = next(r for r in self.cores if (r.core, r.way) == ("srwm", "fused"))
        op = next(r for r in self.ops if (r.op, r.way) == ("srwm", "reference"))
        return (
            f"the SRWM core takes {core.both_over_lstm:.2f} of the LSTM's time; its op is "
            f"{op.both_over_fused:.1f} times as fast fused as in plain PyTorch"
        )


def core_speed(
    name: str, problem: Problem, seconds: float, step: Callable[[str], None]
) -> CoreSpeed:
    """Measure on a device; on a CPU with one thread.

    Args:
        name: "cpu" or "cuda".
        problem: what to measure.
        seconds: about how long in all, if that is enough for five rounds of each part.
        step: called with the name of what is measured next.

    Raises:
        UserError: if there is no such device.
        RunError: if there is no fused kernel for it.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here; --device cpu would work")
    torch.set_num_threads(1)
    device = torch.device(name)
    base, x, _, shift = draw_srwm(problem.unroll, device)
    if not fused.available(base, x, shift):
        raise RunError(f"there is no fused kernel for {name} to measure; the reason is above")
    step("cores")
    cores = _cores(problem, device, seconds / 2)
    step("ops")
    # Plain PyTorch is measured on one unroll only: on the others it takes minutes.
    sizes = {problem.unroll: True, problem.long: False, problem.wide: False}
    ops = [
        row
        for unroll, against_reference in sizes.items()
        for op in OPS
        for row in _op(op, unroll, against_reference, device, seconds / 2 / len(sizes) / len(OPS))
    ]
    return CoreSpeed(name, problem, cores, ops)


def _cores(problem: Problem, device: torch.device, seconds: float) -> list[CoreRow]:
    steps, batch, *_ = problem.unroll
    x = torch.randn(steps, batch, problem.inputs, device=device, requires_grad=True)
    first = torch.zeros(steps, batch, dtype=torch.bool, device=device)

    def run(core: Core, state: State) -> Tensor:
        return core(x, first, state)[0]

    candidates: dict[tuple[str, str, str], Work] = {}
    for name, make in CORES.items():
        core = make(problem.agent, problem.inputs, steps).to(device)
        state = core.initial_state(batch)
        works = passes(partial(run, core, state), [x, *core.parameters()])
        has_fast_weights = any(tensor.dim() > 2 for tensor in state)
        for kind in ("forward", "both"):
            candidates[name, "fused" if has_fast_weights else "torch", kind] = works[kind]
            if has_fast_weights:
                candidates[name, "reference", kind] = _by_reference(works[kind])
    times = medians(candidates, seconds, device)
    lstm_forward, lstm_both = (times["lstm", "torch", kind] for kind in ("forward", "both"))
    rows = []
    for name, way in dict.fromkeys((name, way) for name, way, _ in candidates):
        forward, both = times[name, way, "forward"], times[name, way, "both"]
        rows.append(CoreRow(name, way, forward, both, forward / lstm_forward, both / lstm_both))
    return rows


def _op(
    name: str, unroll: Unroll, against_reference: bool, device: torch.device, seconds: float
) -> list[OpRow]:
    op = OPS[name]
    arguments = op.draw(unroll, device)
    learnt = [argument for argument in arguments if argument.requires_grad]
    works = {"fused": passes(lambda: op.call(*arguments)[0], learnt)}
    if against_reference:
        works["reference"] = {kind: _by_reference(w) for kind, w in works["fused"].items()}
    saved = {way: saved_bytes(passes["kept"]) for way, passes in works.items()}
    if device.type == "cuda":
        works["fused"] = {kind: replayed(work) for kind, work in works["fused"].items()}
    candidates = {(way, kind): work for way in works for kind, work in works[way].items()}
    times = medians(candidates, seconds, device)
    flops = fast_weight_flops(arguments[-1].shape, unroll.steps)
    rows = []
    for way in works:
        forward, kept, both = (times[way, kind] for kind in ("forward", "kept", "both"))
        over_fused = both / times["fused", "both"]
        rates = flops / forward, (1 + BACKWARD) * flops / both
        size = name, way, unroll.steps, unroll.batch, unroll.heads
        rows.append(OpRow(*size, forward, both - kept, both, over_fused, *rates, saved[way]))
    return rows


def _by_reference(work: Work) -> Work:
    def referenced() -> None:
        with references_only():
            work()

    return referenced
