"""The benchmark of the learner, at a size that says nothing about speed."""

import json
from functools import partial

import pytest
import torch

from agents.ops.delta import delta
from agents.ops.srwm import srwm
from launch.bench.flops import count_flops
from launch.bench.learner import LearnerSpeed, Staging
from launch.bench.problems import Unroll, draw_delta, draw_srwm
from launch.bench.update_parts import PARTS, watched
from launch.config.source import parse_config
from launch.flow.build import build_learner
from launch.machine import timing
from launch.machine.rollouts import random_batch
from tests.launch.runs import TMAZE, changed, main, write_config


def learner_and_batch(**changes):
    config = parse_config(changed(TMAZE, **changes), [], "test")
    learner = build_learner(config)
    return learner, random_batch(config, learner.agent)


def test_the_command_writes_what_it_prints(capsys, tmp_path):
    write_config(tmp_path / "c.yaml", TMAZE)
    command = ["bench", "learner", "c.yaml", "agent.core=lstm", "--seconds", "1"]
    assert main(*command, "--json", "learner.json") == 0
    result = json.loads((tmp_path / "learner.json").read_text())
    assert {"date", "cpu", "cores", "gpu", "python", "torch", "threads"} <= result.keys()
    assert result["config"]["learner"]["batch_size"] == 4
    assert result["frames"] == 5 * 4
    assert result["frames_per_second"] == pytest.approx(20 / result["update"])

    parts = result["parts"]
    assert list(parts) == list(PARTS)
    assert all(seconds > 0 for seconds in parts.values())
    assert sum(parts.values()) == pytest.approx(result["watched"])

    # T + 1 observations of four numbers go through two layers, and what the LSTM of 16 units (which
    # is not counted) makes of them to two actions and a value. Back go two products for each, but
    # there is no gradient of the observations.
    rows = 6 * 4
    assert result["encoder_flops"] == 2 * rows * (4 * 64 + 64 * 256)
    heads = 16 * (2 + 1)
    assert result["update_flops"] == 2 * rows * (2 * 4 * 64 + 3 * 64 * 256 + 3 * heads)
    upload, encoder, update = result["rates"]
    assert encoder["achieved"] * parts["encoder"] == pytest.approx(result["encoder_flops"])
    assert update["achieved"] * result["update"] == pytest.approx(result["update_flops"])
    assert encoder["ceiling"] == update["ceiling"] == result["matmul"]
    assert result["staging"]["join"] > 0
    if result["device"] == "cpu":
        assert upload["achieved"] == result["upload_bytes"] == 0

    printed = capsys.readouterr().out
    for part in PARTS:
        assert part in printed
    assert "the longest part is " + max(parts, key=parts.get) in printed


def test_an_update_that_cannot_be_is_told_in_a_line(capsys, tmp_path):
    write_config(tmp_path / "c.yaml", TMAZE)
    assert main("bench", "learner", "c.yaml", "learner.value_cost=1e39", "--seconds", "1") == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("srwm: no update could be measured: ")


def test_a_learner_that_stages_slowly_is_bound_by_that():
    parts = dict.fromkeys(PARTS, 0.5)
    speed = partial(LearnerSpeed, "cuda", "bfloat16", 1600, 4.0, 4.0, parts)
    flops_and_bytes = {"encoder_flops": 8, "update_flops": 40, "upload_bytes": 6}
    ceilings = {"matmul": 40.0, "copy": 4.0}
    quick = speed(Staging(0.9, 3.0), **flops_and_bytes, **ceilings)
    assert quick.frames_per_second == 1600 / 4
    slow = speed(Staging(2.0, 3.0), **flops_and_bytes, **ceilings)
    assert slow.frames_per_second == 1600 / 5
    assert [rate.share for rate in slow.rates] == [2 / 4, 16 / 40, 10 / 40]


@pytest.mark.parametrize("core", ["srwm", "lstm"])
def test_time_goes_to_the_part_that_took_it(core, monkeypatch):
    """On a clock that only moves where the test moves it."""
    now = 0.0
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now)

    def take(seconds):
        nonlocal now
        now += seconds

    class Slow(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, forward, backward):
            take(forward)
            ctx.seconds = backward
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            take(ctx.seconds)
            return gradient, None, None

    def slow(module, forward, backward):
        plain = module.forward

        def run(*inputs):
            result = plain(*inputs)
            y, *more = result if isinstance(result, tuple) else (result,)
            y = Slow.apply(y, forward, backward)
            return (y, *more) if more else y

        monkeypatch.setattr(module, "forward", run)

    learner, batch = learner_and_batch(agent__core=core)
    learner.update(batch)  # the next one does not look at the memory
    learner.agent.register_forward_pre_hook(lambda *_: take(1))
    slow(learner.agent.encoder, 2, 64)
    slow(learner.agent.core, 4, 32)
    slow(learner.agent.policy, 8, 16)
    learner.optimiser.register_step_pre_hook(lambda *_: take(128))
    with watched(learner) as timed:
        learner.update(batch)
        take(256)
    assert timed == dict(zip(PARTS, (2, 4, 8, 16, 32, 64, 128, 1 + 256), strict=True))


@pytest.mark.parametrize("core", ["srwm", "lstm", "feedforward"])
def test_watching_changes_nothing(core):
    one, batch = learner_and_batch(agent__core=core)
    other, _ = learner_and_batch(agent__core=core)
    for _ in range(2):
        one.update(batch)
        with watched(other):
            other.update(batch)
    for ours, theirs in zip(one.agent.parameters(), other.agent.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with watched(other) as timed:
        pass
    other.update(batch)  # it is not watched any more
    assert sum(timed.values()) == timed["rest"] > 0


def test_operations_of_products_and_of_our_kernels_are_counted():
    a, b = torch.ones(3, 5), torch.ones(5, 7, requires_grad=True)
    assert count_flops(lambda: a @ b) == 2 * 3 * 5 * 7
    assert count_flops(lambda: (a @ b).sum().backward()) == 2 * 2 * 3 * 5 * 7

    unroll = Unroll(steps=5, batch=2, heads=3, size=8)
    forward = {"srwm": 5 * 2 * 3 * 6 * 28 * 8, "delta": 5 * 2 * 3 * 6 * 8 * 8}
    for name, op, draw in (("srwm", srwm, draw_srwm), ("delta", delta, draw_delta)):
        arguments = draw(unroll, torch.device("cpu"))
        both = count_flops(lambda op=op, arguments=arguments: op(*arguments)[0].sum().backward())
        assert both == 3 * forward[name]
