"""Metrics of the core's fast weights: what they do, and how the rows they come from are learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from agents.cores import FastWeights
from agents.cores.base import RowBlock


class Network(Protocol):
    """What a report needs of a network with a core: `Agent` and `Classifier` have it."""

    def row_blocks(self) -> list[dict[str, RowBlock]]:
        """Name the rows behind the fast weights of each layer."""


class MemoryReport:
    """Reports on the fast weights of a network.

    Make it before the network learns or loads anything: it keeps a copy of the rows as they are
    then, and measures from there how far they have moved. The initial weights follow from the seed,
    so a resumed run measures from the same ones.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._drawn = [
            {name: block.value().clone() for name, block in blocks.items()}
            for blocks in network.row_blocks()
        ]

    def metrics(self, layers: Sequence[FastWeights]) -> dict[str, float]:
        """Return all metrics of the memory: the summary of each layer, then those of each head.

        Call it between the backward pass and the optimiser's step, for the gradients.

        Args:
            layers: what the network's `introspect` returned for a few environments or sequences;
                empty for a core without fast weights, and so are the metrics.
        """
        return layer_metrics(layers) | self.row_metrics() | head_metrics(layers)

    def row_metrics(self) -> dict[str, float]:
        """Return for each row block how far it has moved, and the size of its gradient.

        `memory/layer1/moved_y` is the norm of the difference from the initial rows, relative to
        their norm; `memory/layer1/grad_y` is the root mean square of the gradient.
        """
        metrics: dict[str, float] = {}
        pairs = zip(self.network.row_blocks(), self._drawn, strict=True)
        for number, (blocks, drawn) in enumerate(pairs, 1):
            values = {
                f"moved_{name}": (block.value() - drawn[name]).norm() / drawn[name].norm()
                for name, block in blocks.items()
            } | {
                f"grad_{name}": block.gradient().square().mean().sqrt()
                for name, block in blocks.items()
            }
            metrics |= _named(f"memory/layer{number}", values)
        return metrics


def layer_metrics(layers: Sequence[FastWeights]) -> dict[str, float]:
    """Return means over steps, environments and heads, such as `memory/layer1/change`.

    `key_entropy` and `query_entropy` are shares of ln D, the entropy of a uniform key: 0 to 1.
    `change` is the relative change of the matrix in a step.
    """
    metrics: dict[str, float] = {}
    for number, layer in enumerate(layers, 1):
        uniform = math.log(max(layer.size, 2))  # a key of one entry has no entropy to share
        values = {
            "key_entropy": layer.key_entropy.mean() / uniform,
            "query_entropy": layer.query_entropy.mean() / uniform,
            "change": layer.relative_change.mean(),
        }
        metrics |= _named(f"memory/layer{number}", values)
    return metrics


def head_metrics(layers: Sequence[FastWeights]) -> dict[str, float]:
    """Return means over steps and environments, such as `memory/layer1/head3/rate_y`.

    The quantities are a rate for each row block (0..1), `shift`, `key_entropy` and `query_entropy`
    (nats), as `FastWeights` defines them.
    """
    metrics = {}
    for number, layer in enumerate(layers, 1):
        quantities = {f"rate_{block}": rate for block, rate in layer.rates.items()} | {
            "shift": layer.shift,
            "key_entropy": layer.key_entropy,
            "query_entropy": layer.query_entropy,
        }
        means = torch.stack([quantity.mean((0, 1)) for quantity in quantities.values()])
        for quantity, heads in zip(quantities, means.tolist(), strict=True):
            for head, mean in enumerate(heads, 1):
                metrics[f"memory/layer{number}/head{head}/{quantity}"] = mean
    return metrics


def _named(prefix: str, values: dict[str, Tensor]) -> dict[str, float]:
    """Return scalars as numbers, named under `prefix`; one transfer from the device for all."""
    numbers = torch.stack([*values.values()]).tolist()
    return {f"{prefix}/{name}": number for name, number in zip(values, numbers, strict=True)}
