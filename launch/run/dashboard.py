"""Where rows of metrics go: `metrics.jsonl` and TensorBoard, under the same names."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from agents import Agent
from envs import EnvsConfig, env_spec
from launch.config.schema import RunConfig
from launch.config.source import dump_config
from launch.run.folder import RunFolder
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


class Dashboard:
    """Writes the metrics of a run.

    Args:
        run: its folder.
        config: the run's.
        memory: the learner's names for what the core's memory does (see `memory_names`).
        resumed_at: the frames of the checkpoint that it goes on from.
    """

    def __init__(
        self,
        run: RunFolder,
        config: RunConfig,
        memory: Sequence[str],
        resumed_at: int | None = None,
    ) -> None:
        if resumed_at is not None:
            set_aside_after(run.metrics_file, resumed_at)
        self._file = run.metrics_file.open("a")
        # Events of a run that got further before it was interrupted are not drawn.
        purge = None if resumed_at is None else resumed_at + 1
        self._writer = SummaryWriter(str(run.path), purge_step=purge)
        self._writer.add_text("config", f"```yaml\n{dump_config(config)}```", resumed_at or 0)
        self._writer.add_custom_scalars(layout(config.envs.tasks, memory))

    def write(self, row: dict[str, float]) -> None:
        """Append one row."""
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in row.items():
            if name != "frames":
                self._writer.add_scalar(name, value, int(row["frames"]))
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the files."""
        self._file.close()
        self._writer.close()


def memory_names(agent: Agent, envs: EnvsConfig) -> list[str]:
    """Return the names under which the learner will report the memory: those of one blank step."""
    spec = env_spec(envs)
    obs = torch.zeros(1, 1, *spec.observation_shape, dtype=getattr(torch, spec.observation_dtype))
    first = torch.ones(1, 1, dtype=torch.bool)
    report = MemoryReport(agent)
    return [*report.metrics(obs, torch.zeros(1, 1), first, agent.initial_state(1))]


def layout(tasks: Sequence[str], memory: Sequence[str]) -> dict[str, dict[str, list[object]]]:
    """Return the prepared charts of TensorBoard's custom scalars page.

    Args:
        tasks: of the run.
        memory: the learner's names for it, such as `memory/layer1/head3/rate_y`, in the order of
            the charts; empty if the core has no fast weights.
    """

    def lines(*tags: str) -> list[object]:
        return ["Multiline", list(tags)]

    memory_charts = defaultdict(list)
    for name in memory:
        memory_charts[_memory_title(name)].append(name)
    categories = {
        "Games": {
            "return, all games": lines(*(f"return/{task}" for task in tasks)),
            "normalised return": lines(
                "return_normalised/mean", *(f"return_normalised/{task}" for task in tasks)
            ),
            "episode length": lines(*(f"length/{task}" for task in tasks)),
        },
        "Learning": {
            "losses": lines("loss/policy", "loss/value", "loss/entropy"),
            "entropy of the policy (nats)": lines("policy/entropy"),
            "gradient norm before clipping": lines("learner/grad_norm"),
            "learning rate": lines("learner/learning_rate"),
        },
        "Flow": {
            "frames per second": lines(
                "throughput/total", "throughput/acting", "throughput/learning"
            ),
            "weight lag (updates)": lines("policy/lag"),
            "share of clipped importance ratios": lines("policy/clipped_rhos"),
            "batches waiting": lines("queue/depth"),
        },
        "Memory": {title: lines(*names) for title, names in memory_charts.items()},
    }
    return {category: charts for category, charts in categories.items() if charts}


def _memory_title(name: str) -> str:
    """Return the title of the chart that shows a metric of the memory."""
    _, layer, *head, quantity = name.split("/")
    if head:
        title = HEAD_TITLES.get(quantity, f"learning rate, {quantity.removeprefix('rate_')}")
        return f"{layer}, {title}"
    if quantity in LAYER_TITLES:
        return LAYER_TITLES[quantity]
    return f"{layer}, {ROW_TITLES[quantity.partition('_')[0]]}"


def set_aside_after(metrics: Path, frames: int) -> None:
    """Keep the rows up to `frames` in the file, and move later ones into a file beside it.

    They are from updates after the checkpoint that the run is resumed from.
    """
    if not metrics.exists():
        return
    lines = metrics.read_text().splitlines(keepends=True)
    kept = [line for line in lines if _frames(line) <= frames]
    if len(kept) == len(lines):
        return
    later = [line for line in lines if _frames(line) > frames]
    number = sum(1 for _ in metrics.parent.glob("metrics.superseded-*.jsonl"))
    (metrics.parent / f"metrics.superseded-{number}.jsonl").write_text("".join(later))
    beside = metrics.with_suffix(".tmp")
    beside.write_text("".join(kept))
    beside.rename(metrics)


def _frames(line: str) -> float:
    try:
        return float(json.loads(line)["frames"])
    except (ValueError, KeyError):
        return float("inf")  # cut off by a crash
