"""What the learner reports of a memory that rewrites itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from agents.cores.base import FastWeights


def memory_metrics(layers: Sequence[FastWeights]) -> dict[str, float]:
    """Return the means over T steps and B environments, for each layer, head and quantity.

    Names are such as `memory/layer1/head3/rate_y`; the quantities are a rate for each row block
    (0..1), `shift`, `key_entropy` and `query_entropy` (nats), as `FastWeights` defines them.
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
