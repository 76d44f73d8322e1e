"""A recorded episode as a picture and as a video: what was seen, which heads rewrote themselves.

Both have the same panels over the same time axis. The strength of a head's updates is drawn in
units of its own median: heads differ by constant factors, which would hide what happens over time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from launch.play.trace import Trace

# A sheet in inches: margins and time axis from left to right, then its parts from top to bottom.
LEFT, WIDTH, RIGHT = 0.7, 9.5, 1.8
TITLE, SCREEN, VALUE, HEAD, GAP, BOTTOM = 0.95, 3.2, 0.9, 0.17, 0.42, 0.5
PICTURE_DPI, VIDEO_DPI = 100, 80

FRAMES = 10  # in the strip above the picture
# Colours reach at least this factor from a head's median, so that rounding errors stay pale.
LEAST_FACTOR = 1.1


class Sheet:
    """A page with a title, filled from top to bottom with axes of one width.

    Args:
        height: of all that will be added, in inches, a gap after each.
        title: in large letters.
        note: below it, in small ones.
        dpi: pixels an inch.
    """

    def __init__(self, height: float, title: str, note: str, dpi: int) -> None:
        height += TITLE + BOTTOM - GAP
        # Video codecs want even numbers of pixels.
        self.height = round(height * dpi / 2) * 2 / dpi
        self.width = LEFT + WIDTH + RIGHT
        self.figure = Figure((self.width, self.height), dpi=dpi)
        x = LEFT / self.width
        self.figure.text(x, 1 - 0.33 / self.height, title, fontsize=15, weight="bold")
        self.figure.text(x, 1 - 0.57 / self.height, note, fontsize=9, color="0.35")
        self._y = self.height - TITLE

    def add(self, height: float) -> Axes:
        """Return new axes below the last ones."""
        self._y -= height
        box = (LEFT / self.width, self._y / self.height, WIDTH / self.width, height / self.height)
        self._y -= GAP
        return self.figure.add_axes(box)


def picture(trace: Trace, title: str, note: str) -> Figure:
    """Draw frames (if there are any) and, below them, the panels over time."""
    shown = _strip(trace) if has_frames(trace) else []
    strip_height = WIDTH / FRAMES * trace.obs.shape[1] / trace.obs.shape[2] if shown else 0
    sheet = Sheet(strip_height + GAP * bool(shown) + panels_height(trace), title, note, PICTURE_DPI)
    if shown:
        strip = sheet.add(strip_height)
        left, right = _limits(trace)
        edges = np.linspace(left, right, len(shown) + 1)
        for t, start, stop in zip(shown, edges, edges[1:], strict=False):
            gap = 0.02 * (stop - start)
            box = (start + gap, stop - gap, 0, 1)
            strip.imshow(rgb(trace.obs[t]), extent=box, aspect="auto")
        strip.set(xlim=(left, right), ylim=(0, 1), yticks=[])
        strip.set_xticks((edges[1:] + edges[:-1]) / 2, [f"step {t}" for t in shown])
        strip.xaxis.tick_top()
        strip.tick_params(length=0, labelsize=8)
        strip.spines[:].set_visible(False)
    draw_panels(sheet, trace)
    return sheet.figure


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


def _strip(trace: Trace) -> list[int]:
    """Return the middle steps of equal parts of the episode."""
    steps = len(trace.reward)
    parts = min(FRAMES, steps)
    return [(2 * i + 1) * steps // (2 * parts) for i in range(parts)]


def _limits(trace: Trace) -> tuple[float, float]:
    return -0.5, len(trace.reward) - 0.5


def panels_height(trace: Trace) -> float:
    """Return what `draw_panels` takes of a sheet."""
    return VALUE + GAP + sum(HEAD * layer.shape[1] + GAP for layer in trace.change)


def draw_panels(sheet: Sheet, trace: Trace) -> list[Axes]:
    """Add the panels below each other, all over the steps of the episode, and return them."""
    value = sheet.add(VALUE)
    layers = [sheet.add(HEAD * layer.shape[1]) for layer in trace.change]
    _draw_value(value, trace)
    _draw_layers(layers, trace)
    panels = [value, *layers]
    for panel in panels:
        panel.set_xlim(_limits(trace))
        panel.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        panel.tick_params(labelsize=8, labelbottom=panel is panels[-1])
    panels[-1].set_xlabel("step of the episode", fontsize=9)
    return panels


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


def _draw_layers(axes: list[Axes], trace: Trace) -> None:
    tiny = np.finfo(np.float32).tiny  # a head that does nothing has no logarithm
    changes = [np.maximum(change, tiny) for change in trace.change]
    medians = [np.median(change, axis=0) for change in changes]
    strengths = [change / median for change, median in zip(changes, medians, strict=True)]
    reach = np.exp(np.quantile(np.abs(np.log(np.concatenate(strengths, axis=1))), 0.99))
    factor = max(LEAST_FACTOR, float(reach))
    norm = LogNorm(1 / factor, factor)
    for number, (axis, strength, median) in enumerate(
        zip(axes, strengths, medians, strict=True), 1
    ):
        heads = len(median)
        image = axis.imshow(
            thin_out(strength, round(WIDTH * PICTURE_DPI)).T,
            norm=norm,
            cmap="RdBu_r",
            aspect="auto",
            interpolation="nearest",
            extent=(*_limits(trace), heads - 0.5, -0.5),
        )
        axis.set_yticks(range(heads), [f"head {head}" for head in range(1, heads + 1)])
        axis.set_title(
            f"layer {number}: how strongly each head rewrites its own weights",
            loc="left",
            fontsize=9,
        )
        axis.set_title("median", loc="right", x=1.04, fontsize=8, color="0.35")
        for head in range(heads):
            axis.text(
                1.04,
                head,
                f"{median[head]:.2g}",
                transform=axis.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=7,
                color="0.35",
            )
    figure = axes[0].figure
    first, last = axes[0].get_position(), axes[-1].get_position()
    bar = figure.add_axes((first.x1 + 0.05, last.y0, 0.012, first.y1 - last.y0))
    figure.colorbar(image, cax=bar)
    ticks = [1 / factor, factor**-0.5, 1, factor**0.5, factor]
    bar.yaxis.set_major_locator(FixedLocator(ticks))
    bar.yaxis.set_minor_locator(NullLocator())
    bar.set_yticks(ticks, [f"x {tick:.2f}" for tick in ticks], fontsize=8)
    bar.set_ylabel("update, in units of the head's median", fontsize=9)
