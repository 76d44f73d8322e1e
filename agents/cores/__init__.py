"""The recurrent cores, and the one place where a core's name becomes a core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from agents.cores.base import Core, State
from agents.cores.bptt import unroll
from agents.cores.delta import DeltaNet
from agents.cores.fake_srwm import FakeSRWM
from agents.cores.fast_weights import FastWeights
from agents.cores.feedforward import FeedForward
from agents.cores.lstm import LSTM, LSTMConfig
from agents.cores.no_carry import NoCarry
from agents.cores.sr_delta import SRDelta
from agents.cores.srwm import SRWM, SelfReferential, SRWMConfig
from agents.cores.stack import Memory, Stack, StackConfig
from agents.registry import Registry


class CoreSections(Protocol):
    """The sections of a configuration that describe cores; `AgentConfig` is one."""

    @property
    def lstm(self) -> LSTMConfig:
        """Of `lstm`."""

    @property
    def delta(self) -> StackConfig:
        """Of `delta`."""

    @property
    def srwm(self) -> SRWMConfig:
        """Of the self-referential cores."""

    @property
    def core_options(self) -> Mapping[str, Any]:
        """Of a core that a module of the user's own registers."""


CoreBuilder = Callable[[CoreSections, int, int], Core]
"""From the configuration, the input's size F and the learner's unroll length T to a core."""

CORES: Registry[CoreBuilder] = Registry("core")
"""From a name in the configuration to the builder of the core."""

register_core = CORES.register


def _srwm(input_size: int, config: SRWMConfig, memory: type[SelfReferential]) -> Stack:
    def build(hidden_size: int, heads: int) -> Memory:
        scales = config.query_scale, config.initial_key_scale
        return memory(hidden_size, heads, config.input, *scales)

    return Stack(input_size, config, build)


def _fake_srwm(input_size: int, config: SRWMConfig) -> Stack:
    return Stack(
        input_size, config, lambda hidden_size, heads: FakeSRWM(hidden_size, heads, config.input)
    )


@register_core("feedforward")
def _feedforward(config: CoreSections, input_size: int, unroll_length: int) -> Core:
    return FeedForward(input_size)


@register_core("lstm")
def _lstm(config: CoreSections, input_size: int, unroll_length: int) -> Core:
    return LSTM(input_size, config.lstm.hidden_size)


@register_core("delta")
def _delta(config: CoreSections, input_size: int, unroll_length: int) -> Core:
    return Stack(input_size, config.delta, DeltaNet)


@register_core("fake_srwm")
def _fake(config: CoreSections, input_size: int, unroll_length: int) -> Core:
    return _fake_srwm(input_size, config.srwm)


@register_core("srwm")
def _srwm_carried(config: CoreSections, input_size: int, unroll_length: int) -> Core:
    return _srwm(input_size, config.srwm, SRWM)


@register_core("srwm_no_carry")
def _srwm_no_carry(config: CoreSections, input_size: int, unroll_length: int) -> Core:
    return NoCarry(_srwm(input_size, config.srwm, SRWM), unroll_length)


@register_core("sr_delta")
def _sr_delta(config: CoreSections, input_size: int, unroll_length: int) -> Core:
    return _srwm(input_size, config.srwm, SRDelta)


BUILT_IN = frozenset(CORES)
"""The cores of this package, as opposed to those of a user's own module."""

__all__ = [
    "BUILT_IN",
    "CORES",
    "Core",
    "CoreSections",
    "FastWeights",
    "State",
    "register_core",
    "unroll",
]
