"""The recurrent cores, and the one place where a core's name becomes a core."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.cores.base import Core, State
from agents.cores.feedforward import FeedForward
from agents.cores.lstm import LSTM
from agents.cores.srwm import SRWM

if TYPE_CHECKING:
    from agents.config import AgentConfig

CORES: dict[str, Callable[[AgentConfig, int], Core]] = {
    "feedforward": lambda _, size: FeedForward(size),
    "lstm": lambda config, size: LSTM(size, config.lstm.hidden_size),
    "srwm": lambda config, size: SRWM(
        size,
        config.srwm.hidden_size,
        config.srwm.layers,
        config.srwm.heads,
        config.srwm.feedforward_factor,
    ),
}
"""From a name in the configuration to a function of (agent section, input size)."""

__all__ = ["CORES", "Core", "State"]
