"""Draw a recorded episode: what the agent saw, expected and got, and how its heads changed.

The picture and the video have the same panels over the same time axis. The strength of a head's
updates is drawn in units of its own median: heads differ by constant factors, which would hide what
happens over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from launch.play.trace import Trace

WIDTH = 12  # inches
# Inches of a part, without what is written around it, which takes about a gap.
SCREEN, VALUE, HEAD, GAP, HEADING = 3.2, 0.9, 0.17, 0.5, 0.8
PICTURE_DPI, VIDEO_DPI = 100, 80

FRAMES = 10  # in the strip above the picture
STRIP_WIDTH = 9.5  # inches, about
COLUMNS = 950  # of a heat map: about its width in pixels
# Colours reach at least this factor from a head's median, so that rounding errors stay pale.
LEAST_FACTOR = 1.1
COLOURS = "RdBu_r"


def picture(trace: Trace, title: str, note: str) -> Figure:
    """Draw frames (if there are any) and, below them, the panels over time."""
    heights = panel_heights(trace)
    if not has_frames(trace):
        figure, panels = sheet(heights, title, note, PICTURE_DPI)
    else:
        rows, columns = trace.obs.shape[1:3]
        strip_height = STRIP_WIDTH / FRAMES * rows / columns
        figure, (strip, *panels) = sheet([strip_height, *heights], title, note, PICTURE_DPI)
        draw_strip(strip, trace.obs, FRAMES)
    draw_panels(panels, trace)
    return figure


def sheet(heights: Sequence[float], title: str, note: str, dpi: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes of one width below each other.

    Args:
        heights: of the axes, in inches; they come out about as high.
        title: in large letters.
        note: below it, in small ones.
        dpi: pixels an inch.
    """
    height = HEADING + sum(heights) + GAP * len(heights)
    even = round(height * dpi / 2) * 2  # pixels: video codecs want even numbers of them
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1)  # inches
    figure = Figure((WIDTH, even / dpi), dpi=dpi, layout=layout)
    # The empty second line is room for the note.
    heading = figure.suptitle(f"{title}\n", x=0.01, ha="left", fontsize=15, weight="bold")
    figure.add_artist(Annotation(note, (0, 0.1), xycoords=heading, fontsize=9, color="0.35"))
    axes = figure.subplots(len(heights), squeeze=False, height_ratios=heights)
    return figure, [*axes.flat]


def has_frames(trace: Trace) -> bool:
    """Return whether the observations are images."""
    return trace.obs.ndim == 4


def rgb(obs: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an observation [H, W, C] in colour if it has three channels, else its last in grey."""
    return obs if obs.shape[-1] == 3 else np.repeat(obs[..., -1:], 3, axis=-1)


def thin_out(values: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Return means [min(T, most), H] over parts of [T, H] that are as equal as can be."""
    parts = min(len(values), most)
    starts = np.arange(parts) * len(values) // parts
    sizes = np.diff([*starts, len(values)])
    return np.add.reduceat(values, starts, axis=0) / sizes[:, None]


def draw_strip(axis: Axes, obs: NDArray[Any], most: int) -> None:
    """Show the middle steps of at most `most` equal parts of an episode, obs [T, H, W, C]."""
    steps = len(obs)
    parts = min(most, steps)
    shown = [(2 * part + 1) * steps // (2 * parts) for part in range(parts)]
    edges = np.linspace(*_limits(steps), parts + 1)
    for t, start, stop in zip(shown, edges, edges[1:], strict=False):
        gap = 0.02 * (stop - start)
        axis.imshow(rgb(obs[t]), extent=(start + gap, stop - gap, 0, 1), aspect="auto")
    axis.set(xlim=_limits(steps), ylim=(0, 1), yticks=[])
    axis.set_xticks((edges[1:] + edges[:-1]) / 2, [f"step {t}" for t in shown])
    axis.xaxis.tick_top()
    axis.tick_params(length=0, labelsize=8)
    axis.spines[:].set_visible(False)


def _limits(steps: int) -> tuple[float, float]:
    return -0.5, steps - 0.5


def panel_heights(trace: Trace) -> list[float]:
    """Return the inches of the axes that `draw_panels` fills."""
    return [VALUE, *layer_heights(trace.change)]


def layer_heights(change: Sequence[NDArray[np.float32]]) -> list[float]:
    """Return the inches of the axes that `draw_layers` fills."""
    return [HEAD * layer.shape[1] for layer in change]


def draw_panels(panels: list[Axes], trace: Trace) -> None:
    """Fill axes with the value and the layers, all over the steps of the episode."""
    value, *layers = panels
    _draw_value(value, trace)
    draw_layers(layers, trace.change)
    finish_panels(panels, len(trace.reward), "step of the episode")


def finish_panels(panels: Sequence[Axes], steps: int, label: str) -> None:
    """Give axes below each other one axis of `steps` steps, with its label below the last."""
    for panel in panels:
        panel.set_xlim(_limits(steps))
        panel.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        panel.tick_params(labelsize=8, labelbottom=panel is panels[-1])
    panels[-1].set_xlabel(label, fontsize=9)


def _draw_value(axis: Axes, trace: Trace) -> None:
    steps = np.arange(len(trace.reward))
    axis.plot(steps, trace.value, color="C0", linewidth=1)
    axis.margins(y=0.3)
    for earned, marker, colour in ((trace.reward > 0, "^", "C2"), (trace.reward < 0, "v", "C3")):
        top = np.full(np.count_nonzero(earned), 0.88)
        axis.plot(steps[earned], top, marker, color=colour, transform=axis.get_xaxis_transform())
    axis.set_title(
        "what the agent expects (value estimate) and gets (▲ reward, ▼ penalty)",
        loc="left",
        fontsize=9,
    )


def draw_layers(axes: Sequence[Axes], change: Sequence[NDArray[np.float32]]) -> None:
    """Draw how strongly each head rewrote itself: an axis for each layer's [T, H]."""
    tiny = np.finfo(np.float32).tiny  # a head that does nothing has no logarithm
    changes = [np.maximum(layer, tiny) for layer in change]
    medians = [np.median(change, axis=0) for change in changes]
    strengths = [change / median for change, median in zip(changes, medians, strict=True)]
    reach = np.exp(np.quantile(np.abs(np.log(np.concatenate(strengths, axis=1))), 0.99))
    factor = max(LEAST_FACTOR, float(reach))
    norm = LogNorm(1 / factor, factor)
    for number, (axis, strength, median) in enumerate(
        zip(axes, strengths, medians, strict=True), 1
    ):
        _draw_layer(axis, strength, median, norm, _limits(len(strength)))
        axis.set_title(
            f"layer {number}: how strongly each head rewrites its own weights",
            loc="left",
            fontsize=9,
        )
    bar = axes[0].figure.colorbar(
        ScalarMappable(norm, COLOURS),
        ax=list(axes),
        pad=0.02,
        aspect=25,
        ticks=[1 / factor, factor**-0.5, 1, factor**0.5, factor],
        format=lambda tick, _: f"x {tick:.2f}",
    )
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=8)
    bar.set_label("update, in units of the head's median", fontsize=9)


def _draw_layer(
    axis: Axes,
    strength: NDArray[np.float32],
    median: NDArray[np.float32],
    norm: LogNorm,
    limits: tuple[float, float],
) -> None:
    """Draw a row of colours for each head, its number on the left, its median on the right."""
    heads = range(len(median))
    axis.imshow(
        thin_out(strength, COLUMNS).T,
        norm=norm,
        cmap=COLOURS,
        aspect="auto",
        interpolation="nearest",
        extent=(*limits, len(median) - 0.5, -0.5),
    )
    axis.set_yticks(heads, [f"head {head + 1}" for head in heads])
    right = axis.secondary_yaxis("right")
    right.set_yticks(heads, [f"{median[head]:.2g}" for head in heads])
    right.tick_params(length=0, labelsize=7, labelcolor="0.35")
    axis.set_title("median", loc="right", fontsize=8, color="0.35")
