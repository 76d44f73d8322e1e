"""Draw a few-shot episode: images, labels, answers, and how strongly each head rewrote itself."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from launch.play.fewshot_trace import FewShotTrace
from launch.report.picture import (
    PICTURE_DPI,
    STRIP_WIDTH,
    draw_layers,
    draw_strip,
    finish_panels,
    layer_heights,
    sheet,
)

IMAGES = 60  # that are shown, at most; of a longer episode some, and no labels
TALLEST = 2.0  # inches of an image
ROW = 0.25  # inches of a row of labels
RIGHT, WRONG, NO_ANSWER = "#b7e1a1", "#f4a6a0", "0.93"


def picture(trace: FewShotTrace, title: str, note: str) -> Figure:
    """Draw images, labels and answers and, below them, the layers, all over the sequence."""
    length, rows, columns = trace.images.shape[:3]
    strip_height = min(TALLEST, STRIP_WIDTH / min(length, IMAGES) * rows / columns)
    heights = [strip_height, 3 * ROW, *layer_heights(trace.change)]
    figure, (strip, labels, *layers) = sheet(heights, title, note, PICTURE_DPI)
    draw_strip(strip, trace.images, IMAGES)
    strip.set_xticks([])
    _draw_labels(labels, trace)
    draw_layers(layers, trace.change)
    finish_panels([labels, *layers], length, "position in the sequence")
    return figure


def _draw_labels(axis: Axes, trace: FewShotTrace) -> None:
    """Draw the label that goes in, the image's own and the answer, right or wrong by colour."""
    length = len(trace.target)
    names = ["label that goes in", "own label", "answer"]
    kinds = np.zeros((len(names), length), np.int64)
    kinds[-1] = np.where(trace.scored, np.where(trace.right, 1, 2), 0)
    if length > IMAGES:
        names, kinds = names[-1:], kinds[-1:]
    axis.imshow(
        kinds,
        cmap=ListedColormap([NO_ANSWER, RIGHT, WRONG]),
        vmin=0,
        vmax=2,
        aspect="auto",
        extent=(-0.5, length - 0.5, len(names) - 0.5, -0.5),
    )
    axis.set_yticks(range(len(names)), names)
    if length <= IMAGES:
        for position in range(length):
            for row, text in enumerate(_texts(trace, position)):
                axis.text(position, row, text, ha="center", va="center", fontsize=7)
    for switch in np.flatnonzero(np.diff(trace.task)):
        axis.axvline(switch + 0.5, color="black", linewidth=1.5)
    axis.set_title("green: right, red: wrong, grey: not scored", loc="left", fontsize=9)


def _texts(trace: FewShotTrace, position: int) -> tuple[str, str, str]:
    """Return the label that goes in, the image's own, and the answer if it counts."""
    label = trace.label_in[position]
    return (
        "-" if label == trace.unknown else str(label),
        str(trace.target[position]),
        str(trace.answer[position]) if trace.scored[position] else "",
    )
