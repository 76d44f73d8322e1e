"""Which precision `auto` is."""

import pytest
import torch

from agents import precision
from agents.agent import make_agent
from agents.config import AgentConfig


@pytest.fixture(autouse=True)
def anew():
    precision.encoder_dtype.cache_clear()
    yield
    precision.encoder_dtype.cache_clear()


@pytest.mark.parametrize(
    ("instructions", "gain", "wanted"),
    [
        (True, 2.0, torch.bfloat16),
        (True, 1.1, torch.float32),
        (True, 0.7, torch.float32),
        (False, 2.0, torch.float32),
    ],
)
def test_auto_is_what_is_clearly_faster(instructions, gain, wanted, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr(precision, "_gain", lambda: gain)
    agent = make_agent(AgentConfig(encoder="mlp"), (3,), 2, 5)
    assert agent.dtype == wanted


def test_it_is_measured_once(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(precision, "_gain", lambda: calls.append(1) or 2.0)
    assert precision.encoder_dtype("cpu") == precision.encoder_dtype("cpu") == torch.bfloat16
    assert calls == [1]


def test_measuring_draws_nothing_from_the_networks_luck():
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    assert precision._gain() > 0
    assert torch.equal(torch.rand(3), wanted)


def test_a_gain_is_float32s_time_over_bfloat16s(monkeypatch):
    # Float32 takes 3 ms of a clock that stands still otherwise, bfloat16 2.
    now = 0.0

    def convolve(module, images):
        nonlocal now
        now += 2e-3 if torch.is_autocast_enabled("cpu") else 3e-3

    monkeypatch.setattr(torch.nn.Conv2d, "forward", convolve)
    monkeypatch.setattr(precision.time, "perf_counter", lambda: now)
    assert precision._gain() == pytest.approx(1.5)
