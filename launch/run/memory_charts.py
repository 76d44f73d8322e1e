"""Charts of what the core's memory does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch

from agents import Agent, Classifier
from envs import EnvsConfig, env_spec
from launch.run.view import Charts, lines
from learners import MemoryReport

# Charts with a line for each layer.
LAYER_TITLES = {
    "key_entropy": "entropy of the keys (1: uniform)",
    "query_entropy": "entropy of the queries (1: uniform)",
    "change": "relative change of the weights in a step",
}


# Charts of one layer with a line for each row block.
ROW_TITLES = {
    "moved": "relative distance of the rows from their initial draw",
    "grad": "gradient of the rows (root mean square)",
}


# Charts of one layer with a line for each head; those not named here are learning rates.
HEAD_TITLES = {
    "shift": "norm of the carried shift",
    "key_entropy": "entropy of the keys (nats)",
    "query_entropy": "entropy of the queries (nats)",
}


def memory_charts(names: Sequence[str]) -> Charts:
    """Return the charts of the memory, in the order of `names`.

    Args:
        names: of the learner's metrics, such as `memory/layer1/head3/rate_y`; empty if the core has
            no fast weights.
    """
    tags = defaultdict(list)
    for name in names:
        tags[_memory_title(name)].append(name)
    return {title: lines(*of_chart) for title, of_chart in tags.items()}


def memory_names(agent: Agent, envs: EnvsConfig) -> list[str]:
    """Return the names under which the learner will report the memory: those of one blank step."""
    spec = env_spec(envs)
    obs = torch.zeros(1, 1, *spec.observation_shape, dtype=getattr(torch, spec.observation_dtype))
    first = torch.ones(1, 1, dtype=torch.bool)
    layers = agent.introspect(obs, torch.zeros(1, 1), first, agent.initial_state(1))
    return [*MemoryReport(agent).metrics(layers)]


def classifier_memory_names(classifier: Classifier, shape: tuple[int, int, int]) -> list[str]:
    """Return the same of a classifier of images of `shape` (H, W, C)."""
    images = torch.zeros(1, 1, *shape, dtype=torch.uint8)
    layers = classifier.introspect(images, torch.zeros(1, 1, dtype=torch.int64))
    return [*MemoryReport(classifier).metrics(layers)]


def _memory_title(name: str) -> str:
    """Return the title of the chart that shows a metric of the memory."""
    _, layer, *head, quantity = name.split("/")
    if head:
        title = HEAD_TITLES.get(quantity, f"learning rate, {quantity.removeprefix('rate_')}")
        return f"{layer}, {title}"
    if quantity in LAYER_TITLES:
        return LAYER_TITLES[quantity]
    return f"{layer}, {ROW_TITLES[quantity.partition('_')[0]]}"
