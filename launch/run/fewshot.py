"""The metrics of a few-shot run, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from envs.fewshot.config import EpisodesConfig
from launch.run.memory_charts import memory_charts
from launch.run.view import Charts, Row, View, lines

TRAIN, VALIDATION = "accuracy/train", "accuracy/validation"


def fewshot_view(episodes: EpisodesConfig, memory: Sequence[str]) -> View:
    """Return how a few-shot run is shown.

    Args:
        episodes: what it learns from.
        memory: the learner's names for what the memory does.
    """
    charts = _charts(_shots(episodes), memory)
    return View("fewshot", "images", (VALIDATION, TRAIN), charts, _table, _summary)


def _shots(episodes: EpisodesConfig) -> list[int]:
    """Return after how many examples of a class there are answers."""
    if episodes.labels == "delayed":
        return list(range(episodes.k_shot))
    return [episodes.k_shot]


def _charts(shots: Sequence[int], memory: Sequence[str]) -> dict[str, Charts]:
    accuracy: Charts = {"accuracy": lines(TRAIN, VALIDATION)}
    if len(shots) > 1:
        for name in (TRAIN, VALIDATION):
            title = f"{name.partition('/')[2]}, by examples of the class seen before"
            accuracy[title] = lines(*(f"{name}/shot{shot}" for shot in shots))
    categories: dict[str, Charts] = {
        "Accuracy": accuracy,
        "Learning": {
            "losses (nats)": lines("loss/cross_entropy", "loss/validation", "loss/prototype"),
            "gradient norm before clipping": lines("learner/grad_norm"),
            "learning rate": lines("learner/learning_rate"),
        },
        "Flow": {
            "images per second": lines("throughput/total", "throughput/learning"),
            "batches waiting": lines("queue/depth"),
        },
        "Memory": memory_charts(memory),
    }
    return {category: charts for category, charts in categories.items() if charts}


def _table(row: Row) -> Table:
    table = Table("accuracy", box=None, header_style="bold")
    for title in ("training classes", "validation classes"):
        table.add_column(title, justify="right")
    prefix = f"{TRAIN}/shot"
    shots = sorted(int(name.removeprefix(prefix)) for name in row if name.startswith(prefix))
    for label, suffix in [("all", ""), *((f"{shot}-shot", f"/shot{shot}") for shot in shots)]:
        cells = [_percent(row, f"{name}{suffix}") for name in (TRAIN, VALIDATION)]
        table.add_row(label, *cells)
    return table


def _summary(row: Row) -> str:
    return f"accuracy: training {_percent(row, TRAIN)}  validation {_percent(row, VALIDATION)}"


def _percent(row: Row, name: str) -> str:
    return f"{100 * row[name]:.1f} %" if name in row else "-"
