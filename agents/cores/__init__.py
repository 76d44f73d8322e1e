"""The recurrent cores, and the builder of each."""

from __future__ import annotations

from agents.config import CoreSections, SRWMConfig
from agents.cores.base import Core, State
from agents.cores.bptt import unroll
from agents.cores.delta import DeltaNet
from agents.cores.fake_srwm import FakeSRWM
from agents.cores.fast_weights import FastWeights
from agents.cores.feedforward import FeedForward
from agents.cores.lstm import LSTM
from agents.cores.no_carry import NoCarry
from agents.cores.sr_delta import SRDelta
from agents.cores.srwm import SRWM, SelfReferential
from agents.cores.stack import Memory, Stack
from agents.registry import CORES, register_core


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


def make_core(config: CoreSections, input_size: int, unroll_length: int) -> Core:
    """Build the core `config.core`.

    Args:
        config: the section `agent`.
        input_size: F, the width of what the core reads.
        unroll_length: T of the learner; a memory that is not carried over starts anew with it.

    Raises:
        ValueError: if the builder of the user's own core does not take `core_options`.
    """
    try:
        return CORES[config.core](config, input_size, unroll_length)
    except (KeyError, TypeError, ValueError) as error:  # what wrong options raise
        if config.core in CORES.built_in:
            raise
        raise ValueError(
            f"agent.core_options: core {config.core!r} cannot be built with {config.core_options}: "
            f"{type(error).__name__}: {error}"
        ) from error


__all__ = [
    "CORES",
    "Core",
    "FastWeights",
    "State",
    "make_core",
    "register_core",
    "unroll",
]
