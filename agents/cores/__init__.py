"""The recurrent cores, and the one place where a core's name becomes a core."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.cores.base import Core, FastWeights, State
from agents.cores.bptt import unroll
from agents.cores.delta import DeltaNet
from agents.cores.fake_srwm import FakeSRWM
from agents.cores.feedforward import FeedForward
from agents.cores.lstm import LSTM
from agents.cores.no_carry import NoCarry
from agents.cores.sr_delta import SRDelta
from agents.cores.srwm import SRWM, SelfReferential
from agents.cores.stack import Memory, Stack

if TYPE_CHECKING:
    from agents.config import AgentConfig, SRWMConfig, StackConfig


def _stack(input_size: int, config: StackConfig, memory: Callable[[int, int], Memory]) -> Stack:
    return Stack(
        input_size,
        config.hidden_size,
        config.layers,
        config.heads,
        config.feedforward_factor,
        memory,
    )


def _srwm(input_size: int, config: SRWMConfig, memory: type[SelfReferential]) -> Stack:
    def build(hidden_size: int, heads: int) -> Memory:
        scales = config.query_scale, config.initial_key_scale
        return memory(hidden_size, heads, config.input, *scales)

    return _stack(input_size, config, build)


def _fake_srwm(input_size: int, config: SRWMConfig) -> Stack:
    return _stack(
        input_size, config, lambda hidden_size, heads: FakeSRWM(hidden_size, heads, config.input)
    )


CORES: dict[str, Callable[[AgentConfig, int, int], Core]] = {
    "feedforward": lambda _, size, __: FeedForward(size),
    "lstm": lambda config, size, _: LSTM(size, config.lstm.hidden_size),
    "delta": lambda config, size, _: _stack(size, config.delta, DeltaNet),
    "fake_srwm": lambda config, size, _: _fake_srwm(size, config.srwm),
    "srwm": lambda config, size, _: _srwm(size, config.srwm, SRWM),
    "srwm_no_carry": lambda config, size, unroll: NoCarry(_srwm(size, config.srwm, SRWM), unroll),
    "sr_delta": lambda config, size, _: _srwm(size, config.srwm, SRDelta),
}
"""From a name in the configuration to a function of (agent section, input size, unroll length)."""

__all__ = ["CORES", "Core", "FastWeights", "State", "unroll"]
