"""How a run is shown: its charts in TensorBoard, its table and its line in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rich.table import Table

Charts = dict[str, list[object]]
"""From a chart's title to its description for TensorBoard's custom scalars page."""

Row = Mapping[str, float]
"""One row of metrics, by TensorBoard tag."""


class View(NamedTuple):
    """What differs between kinds of runs in how they are shown."""

    command: str  # that starts such a run: "train", "fewshot"
    unit: str  # what `frames` counts: "frames", "images"
    scores: Sequence[str]  # tags of what the run is judged by, the most telling first
    charts: dict[str, Charts]  # by category
    table: Callable[[Row], Table]  # of the live display
    summary: Callable[[Row], str]  # end of a plain line


def lines(*tags: str) -> list[object]:
    """Describe a chart with a line for each tag."""
    return ["Multiline", list(tags)]
