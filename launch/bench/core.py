"""`srwm bench core`: every core, and the ops beneath, as fused kernels and as plain PyTorch.

No episode opens inside the unrolls: an LSTM would have to be run in pieces, and look worse than it
is. As in training, gradients reach parameters and inputs, and only the outputs have a cotangent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from agents.cores import CORES, Core, State
from agents.ops.kernels import references_only
from agents.ops.srwm import fused, srwm
from launch.bench.core_report import CoreRow, CoreSpeed, LoopRow, OpRow, SizeRow
from launch.bench.flops import BACKWARD, fast_weight_flops
from launch.bench.problems import OPS, Problem, Unroll, draw_srwm, passes
from launch.errors import RunError, UserError
from launch.machine.timing import Work, clock, medians, replayed, saved_bytes


def core_speed(name: str, problem: Problem, step: Callable[[str], None]) -> CoreSpeed:
    """Measure on a device; on a CPU with one thread.

    Args:
        name: "cpu" or "cuda".
        problem: what to measure.
        step: called with the name of what is measured next.

    Raises:
        UserError: if there is no such device.
        RunError: if there is no fused kernel for it.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here; --device cpu would work")
    torch.set_num_threads(1)
    device = torch.device(name)
    base, x, first, shift = draw_srwm(problem.unroll, device)
    if not fused.available(base, x, shift):
        raise RunError(f"there is no fused kernel for {name} to measure; the reason is above")
    hertz, source = clock(device, lambda: srwm(base, x, first, shift))
    step("cores")
    cores = _cores(problem, device)
    step("ops")
    ops = _ops(problem, device, hertz)
    step("a call a step")
    loops = _loops(problem, device)
    step("other sizes")
    return CoreSpeed(name, hertz, source, cores, ops, loops, _sizes(problem, device))


def _cores(problem: Problem, device: torch.device) -> list[CoreRow]:
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
    times = medians(candidates, problem.seconds / 2, device)
    rows = []
    for name, way in dict.fromkeys((name, way) for name, way, _ in candidates):
        forward, both = times[name, way, "forward"], times[name, way, "both"]
        lstm_forward, lstm_both = times["lstm", "torch", "forward"], times["lstm", "torch", "both"]
        rows.append(CoreRow(name, way, forward, both, forward / lstm_forward, both / lstm_both))
    return rows


def _ops(problem: Problem, device: torch.device, hertz: float | None) -> list[OpRow]:
    steps, batch, heads, _ = problem.unroll
    candidates: dict[tuple[str, str, str], Work] = {}
    saved = {}
    for name in OPS:
        works = _op_passes(name, problem.unroll, device)
        for kind, work in works.items():
            candidates[name, "fused", kind] = _on_device(work, device)
            candidates[name, "reference", kind] = _by_reference(work)
        saved[name, "fused"] = saved_bytes(works["kept"])
        saved[name, "reference"] = saved_bytes(_by_reference(works["kept"]))
    times = medians(candidates, problem.seconds / 6, device)
    # A thread runs one matrix after the other, a GPU all at once.
    in_turn = steps * batch * heads if device.type == "cpu" else steps

    def cycles(seconds: float) -> float | None:
        return seconds * hertz / in_turn if hertz else None

    rows = []
    for name, way in saved:
        forward, both = times[name, way, "forward"], times[name, way, "both"]
        backward = both - times[name, way, "kept"]
        rows.append(
            OpRow(
                name,
                way,
                forward,
                backward,
                both,
                both / times[name, "fused", "both"],
                cycles(forward),
                cycles(backward),
                saved[name, way],
            )
        )
    return rows


def _loops(problem: Problem, device: torch.device) -> list[LoopRow]:
    base, h, first, shift = draw_srwm(problem.unroll, device)

    def whole() -> Tensor:
        return srwm(base, h.softmax(-1), first, shift)[0]

    def stepwise() -> Tensor:
        ys, carried = [], shift
        for h_t, first_t in zip(h.split(1), first.split(1), strict=True):
            y, carried = srwm(base, h_t.softmax(-1), first_t, carried)
            ys.append(y)
        return torch.cat(ys)

    at_once, in_steps = passes(whole, [base, h]), passes(stepwise, [base, h])
    candidates: dict[tuple[str, str], Work] = {}
    for kind in ("forward", "both"):
        candidates["whole unroll", kind] = at_once[kind]
        candidates["a fused call a step", kind] = in_steps[kind]
        candidates["a reference call a step", kind] = _by_reference(in_steps[kind])
    times = medians(candidates, problem.seconds / 6, device)
    whole_time = times["whole unroll", "both"]
    return [
        LoopRow(way, times[way, "forward"], times[way, "both"], times[way, "both"] / whole_time)
        for way in dict.fromkeys(way for way, _ in candidates)
    ]


def _sizes(problem: Problem, device: torch.device) -> list[SizeRow]:
    rows = []
    runs = [(name, unroll) for name in OPS for unroll in (problem.long, problem.wide)]
    for name, unroll in runs:  # not in turns: they need not be compared, and they take much memory
        works = _op_passes(name, unroll, device)
        timed = {kind: _on_device(works[kind], device) for kind in ("forward", "both")}
        times = medians(timed, problem.seconds / 6 / len(runs), device)
        forward, both = times["forward"], times["both"]
        flops = _forward_flops(name, unroll)
        rows.append(
            SizeRow(
                name, *unroll[:3], forward, both, flops / forward, (1 + BACKWARD) * flops / both
            )
        )
    return rows


def _forward_flops(name: str, unroll: Unroll) -> int:
    *_, matrices = OPS[name].draw(unroll, torch.device("meta"))
    return fast_weight_flops(matrices.shape, unroll.steps)


def _op_passes(name: str, unroll: Unroll, device: torch.device) -> dict[str, Work]:
    op = OPS[name]
    arguments = op.draw(unroll, device)
    learnt = [argument for argument in arguments if argument.requires_grad]
    return passes(lambda: op.call(*arguments)[0], learnt)


def _on_device(work: Work, device: torch.device) -> Work:
    return replayed(work) if device.type == "cuda" else work


def _by_reference(work: Work) -> Work:
    def referenced() -> None:
        with references_only():
            work()

    return referenced
