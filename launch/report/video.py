"""Draw a recorded episode as a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from launch.play.trace import Trace
from launch.report.picture import SCREEN, VIDEO_DPI, draw_panels, panel_heights, rgb, sheet

FRAMES_PER_SECOND = 15  # ProcGen's own speed


def film(trace: Trace, title: str, note: str) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures [H, W, 4] of a video: the frame of each step, and a cursor below it."""
    heights = [SCREEN, *panel_heights(trace)]
    figure, (screen, *panels) = sheet(heights, title, note, VIDEO_DPI)
    draw_panels(panels, trace)
    # What moves is drawn onto a copy of what does not: a whole figure takes ten times as long.
    frame = screen.imshow(rgb(trace.obs[0]), interpolation="nearest", animated=True)
    screen.set(anchor="W")
    screen.set_axis_off()
    said = screen.text(
        1.06, 0.5, "", transform=screen.transAxes, va="center", fontsize=13, animated=True
    )
    cursors = [panel.axvline(0, color="black", linewidth=1, animated=True) for panel in panels]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    returns = np.cumsum(trace.reward)
    for t, obs in enumerate(trace.obs):
        frame.set_data(rgb(obs))
        said.set_text(
            f"step {t}\n\nreturn so far: {returns[t]:g}\nvalue estimate: {trace.value[t]:.2f}"
        )
        for cursor in cursors:
            cursor.set_xdata([t, t])
        canvas.restore_region(still)
        for artist in (frame, said, *cursors):
            figure.draw_artist(artist)
        yield np.asarray(canvas.buffer_rgba())


def write_video(
    pictures: Iterator[NDArray[np.uint8]], file: Path, advance: Callable[[], None] = lambda: None
) -> None:
    """Write pictures [H, W, 3] or [H, W, 4] as an MP4 that browsers play.

    Args:
        pictures: uint8, one at least, all of one size; H and W are even.
        file: ending in .mp4.
        advance: called after every picture.

    Raises:
        OSError: if the file cannot be written.
    """
    with av.open(str(file), "w") as container:
        stream: Any = container.add_stream(
            "libx264", rate=FRAMES_PER_SECOND, options={"preset": "veryfast", "crf": "26"}
        )
        first = next(pictures)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        form = "rgb24" if first.shape[-1] == 3 else "rgba"
        for pixels in chain([first], pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format=form)))
            advance()
        container.mux(stream.encode(None))
