"""Timeline of a recorded episode: the value estimate, and how strongly heads rewrote themselves.

What has not happened yet is faint. The strength of a head's updates is drawn in units of its own
median, as in `launch.report.picture`.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from launch.play.trace import Trace
from launch.report.lettering import BACKGROUND, BLUE, FAINT, GREEN, GREY, RED, WHITE, font

LEFT, RIGHT = 76, 14  # pixels beside the time axis
TITLE, VALUE, GAP = 20, 56, 10  # pixels of heights
MOST_HEADS = 48  # that are drawn 6 pixels high; more are drawn lower
LEAST_FACTOR = 1.1  # colours reach at least so far from the median: rounding errors stay pale
COLOURS = "RdBu_r"
FADED = 0.25  # how much is seen of what is still to come


class Timeline:
    """Draws the part of a picture that runs along the steps of an episode.

    Args:
        trace: T >= 1 steps.
        width: in pixels.
    """

    def __init__(self, trace: Trace, width: int) -> None:
        self.steps = len(trace.reward)
        self.span = width - LEFT - RIGHT
        heads = sum(layer.shape[1] for layer in trace.change)
        self._head = max(1, min(6, 6 * MOST_HEADS // max(1, heads)))
        strips = TITLE + self._head * heads + GAP * len(trace.change) if heads else 0
        self.height = (TITLE + VALUE + GAP + strips + 1) // 2 * 2  # codecs want an even number
        self._after = Image.new("RGB", (width, self.height), BACKGROUND)
        draw = ImageDraw.Draw(self._after)
        self._draw_value(draw, trace)
        if heads:
            self._draw_strips(draw, trace.change)
        nothing = Image.new("RGB", self._after.size, BACKGROUND)
        self._before = Image.blend(nothing, self._after, FADED)
        self._before.paste(self._after.crop((0, 0, LEFT, self.height)), (0, 0))  # the labels
        for top in self._titles:
            self._before.paste(self._after.crop((0, top, width, top + TITLE)), (0, top))

    def at(self, t: int) -> Image.Image:
        """Return the timeline at step t, an image as wide as was asked for and `height` high."""
        edge = self._x(t + 1)
        image = self._before.copy()
        image.paste(self._after.crop((LEFT, 0, edge, self.height)), (LEFT, 0))
        ImageDraw.Draw(image).line((edge, TITLE, edge, self.height - GAP), fill=WHITE, width=1)
        for top in self._titles:
            image.paste(self._after.crop((LEFT, top, image.width, top + TITLE)), (LEFT, top))
        return image

    @property
    def _titles(self) -> tuple[int, ...]:
        """The heights at which there are titles, which are never faint."""
        below = TITLE + VALUE + GAP
        return (0, below) if self.height > below + 1 else (0,)

    def _x(self, t: float) -> int:
        return LEFT + round(self.span * t / self.steps)

    def _draw_value(self, draw: ImageDraw.ImageDraw, trace: Trace) -> None:
        draw.text((LEFT, 2), "value estimate", fill=WHITE, font=font(13))
        x = LEFT + draw.textlength("value estimate", font=font(13)) + 14
        for mark, colour, meaning in (("▲", GREEN, "reward"), ("▼", RED, "penalty")):
            draw.text((x, 2), mark, fill=colour, font=font(12))
            draw.text((x + 14, 2), meaning, fill=GREY, font=font(13))
            x += 28 + draw.textlength(meaning, font=font(13))
        top, bottom = TITLE, TITLE + VALUE
        draw.line((LEFT, bottom, LEFT + self.span, bottom), fill=FAINT)
        low, high = float(trace.value.min()), float(trace.value.max())
        for y, value in ((top, high), (bottom, low)):
            draw.text((LEFT - 6, y), f"{value:.2f}", fill=GREY, font=font(12), anchor="rm")
        scale = (VALUE - 14) / (high - low or 1)  # above it is room for the marks of rewards
        points = [
            (self._x(t + 0.5), bottom - 2 - scale * (float(value) - low))
            for t, value in enumerate(trace.value)
        ]
        draw.line(points, fill=BLUE, width=2)
        for t in np.flatnonzero(trace.reward):
            mark, colour = ("▲", GREEN) if trace.reward[t] > 0 else ("▼", RED)
            draw.text((self._x(t + 0.5), top), mark, fill=colour, font=font(9), anchor="mt")

    def _draw_strips(
        self, draw: ImageDraw.ImageDraw, change: Sequence[NDArray[np.float32]]
    ) -> None:
        top = TITLE + VALUE + GAP
        text = "how strongly each head rewrites its own weights (blue: less than usual, red: more)"
        draw.text((LEFT, top + 2), text, fill=WHITE, font=font(13))
        top += TITLE
        for number, colours in enumerate(strip_colours(change), 1):
            height = self._head * len(colours)
            strip = Image.fromarray(colours).resize(
                (self.span, height), _resampling(self.steps, self.span)
            )
            self._after.paste(strip, (LEFT, top))
            middle = top + height // 2
            draw.text((LEFT - 6, middle), f"layer {number}", fill=GREY, font=font(12), anchor="rm")
            top += height + GAP


def _resampling(steps: int, span: int) -> Image.Resampling:
    return Image.Resampling.NEAREST if steps <= span else Image.Resampling.BOX


def strip_scale(count: int) -> list[tuple[int, ...]]:
    """Return `count` colours (R, G, B), from the darkest blue to the darkest red."""
    steps = matplotlib.colormaps[COLOURS](np.linspace(0, 1, count), bytes=True)
    return [tuple(int(part) for part in colour[:3]) for colour in steps]


def strip_colours(change: Sequence[NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    """Return the colours of the heads' updates, white at each head's median.

    Args:
        change: for each layer [T, H], the size of each head's update.

    Returns:
        For each layer [H, T, 3]; layers share the factor at which red and blue are darkest.
    """
    tiny = np.finfo(np.float32).tiny  # a head that does nothing has no logarithm
    logs = [np.log(np.maximum(layer, tiny)) for layer in change]
    logs = [layer - np.median(layer, axis=0) for layer in logs]
    spread = float(np.quantile(np.abs(np.concatenate(logs, axis=1)), 0.99))
    reach = max(float(np.log(LEAST_FACTOR)), spread)
    colours = matplotlib.colormaps[COLOURS]
    return [colours((layer.T / reach + 1) / 2, bytes=True)[..., :3] for layer in logs]
