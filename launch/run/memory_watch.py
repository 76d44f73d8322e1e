"""Warns about fast weights that hardly change or have grown without bound."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

from agents.config import CoreSections

log = logging.getLogger(__name__)

DEAD_REPORTS = 5  # in a row; a learner reports every 50 updates
# Relative change of a layer's weights in a step. In untrained networks of the default size, over
# noise, ProcGen frames and vectors, it is 0.0005 to 0.0009 with the paper's `input: softmax`, and
# 0.004 to 0.05 with `layernorm`.
DEAD_CHANGE = 0.0015
# Nor does a memory change that already holds what it sees: `layernorm` falls to 0.0004 in Maze,
# whose frames are nearly still. Its keys are sharp all the same (below 0.3), its rates near 0.5.
UNIFORM_KEYS = 0.99  # entropy as a share of that of a uniform key; 0.999 with `softmax`
CLOSED_RATES = 0.01

LARGEST_SHIFT = 100  # the norm of what a head carries, relative to its base weights

SELF_REFERENTIAL = ("srwm", "srwm_no_carry", "sr_delta")


class _Layer(NamedTuple):
    """What one report of the learner says of one layer."""

    name: str
    change: float
    key_entropy: float
    rate: float  # the largest of its heads and row blocks

    @property
    def is_dead(self) -> bool:
        cannot_change = self.key_entropy > UNIFORM_KEYS or self.rate < CLOSED_RATES
        return cannot_change and self.change < DEAD_CHANGE

    def __str__(self) -> str:
        return (
            f"{self.name}: change {self.change:.1e}, key entropy {self.key_entropy:.3f}, "
            f"largest rate {self.rate:.2g}"
        )


class MemoryWatch:
    """Reads the metrics of each update, and warns at most once of each condition.

    Args:
        network: the configuration of the network.
        section: its name, for what to try.
    """

    def __init__(self, network: CoreSections, section: str = "agent") -> None:
        self.network = network
        self.section = section
        self._dead_reports = 0
        self._warned_dead = False
        self._warned_large = False

    def add(self, metrics: Mapping[str, float]) -> None:
        """Take in one update; most of them report nothing of the memory."""
        layers = _layers(metrics)
        if layers:
            self._watch_change(layers)
        # The Delta Net has no base weights: its shift is an absolute norm.
        if layers and self.network.core in SELF_REFERENTIAL:
            self._watch_shift(metrics)

    def _watch_change(self, layers: list[_Layer]) -> None:
        dead = all(layer.is_dead for layer in layers)
        self._dead_reports = self._dead_reports + 1 if dead else 0
        if self._dead_reports < DEAD_REPORTS or self._warned_dead:
            return
        self._warned_dead = True
        log.warning(
            "the memory is dead: in the last %d reports (one in 50 updates) a step changed the "
            "weights of every layer by less than %g of their norm, with uniform keys (entropy "
            "above %g) or closed learning rates (below %g). Now %s. %s",
            DEAD_REPORTS,
            DEAD_CHANGE,
            UNIFORM_KEYS,
            CLOSED_RATES,
            "; ".join(map(str, layers)),
            self._remedy(),
        )

    def _watch_shift(self, metrics: Mapping[str, float]) -> None:
        shifts = {
            name: value
            for name, value in metrics.items()
            if name.startswith("memory/") and name.endswith("/shift")
        }
        # Whatever is not known to be small is large: a NaN compares as false.
        largest = next((name for name, x in shifts.items() if not x <= LARGEST_SHIFT), None)
        if largest and not self._warned_large:
            self._warned_large = True
            log.warning(
                "the memory has blown up: %s is %.0f, the norm of the carried weights relative to "
                "the learnt ones (above %d). Try a smaller learner.learning_rate or "
                "learner.max_grad_norm",
                largest,
                shifts[largest],
                LARGEST_SHIFT,
            )

    def _remedy(self) -> str:
        if self.network.core in SELF_REFERENTIAL and self.network.srwm.input != "layernorm":
            return f"Start a run with {self.section}.srwm.input=layernorm"
        larger = (
            "learner.unroll_length or agent.bptt"
            if self.section == "agent"
            else f"{self.section}.srwm.key_scale"
        )
        return f"Try a larger learner.learning_rate, {larger}"


def _layers(metrics: Mapping[str, float]) -> list[_Layer]:
    """Read the layers of a report; none if it has nothing of the memory."""
    names = [
        name.removesuffix("/change")
        for name in metrics
        if name.startswith("memory/") and name.endswith("/change")
    ]
    return [
        _Layer(
            name.removeprefix("memory/"),
            metrics[f"{name}/change"],
            metrics[f"{name}/key_entropy"],
            max(x for key, x in metrics.items() if key.startswith(f"{name}/") and "/rate_" in key),
        )
        for name in names
    ]
