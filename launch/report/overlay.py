"""Draw a recorded episode: the game, what the agent sees and expects, and what it would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from envs import Picture
from launch.play.record import Recording
from launch.play.trace import Trace
from launch.report.lettering import BACKGROUND, BLUE, FAINT, GREY, WHITE, font, shortened
from launch.report.picture import has_frames, rgb
from launch.report.timeline import Timeline

SCREEN, PANEL, PAD = 512, 336, 14  # pixels
VIEW = 128  # of the agent's own view
NAME, PERCENT = 92, 40  # widths of the columns beside the bars
MOST_ACTIONS = 18


def draw_recording(recording: Recording, title: str, notes: Sequence[str]) -> Iterator[Picture]:
    """Yield a picture [H, W, 3] for each step, all of one even size.

    Args:
        recording: whose observations or frames are images.
        title: in large letters beside the game.
        notes: lines below it.
    """
    trace = recording.trace
    timeline = Timeline(trace, SCREEN + PANEL)
    still = Image.new("RGB", (SCREEN + PANEL, SCREEN + timeline.height), BACKGROUND)
    below = _draw_heading(ImageDraw.Draw(still), title, notes)
    chances = probabilities(trace.logits)
    shown = often_likely(chances, MOST_ACTIONS)
    names = [recording.action_names[action] for action in shown]
    returns = np.cumsum(trace.reward)
    for t in range(len(trace.reward)):
        image = still.copy()
        seen = recording.frames[t] if recording.frames else rgb(trace.obs[t])
        image.paste(*_fitted(seen, SCREEN))
        draw = ImageDraw.Draw(image)
        top = below
        if has_frames(trace):
            view, (x, y) = _fitted(rgb(trace.obs[t]), VIEW)
            image.paste(view, (SCREEN + PAD + x, top + y))
            _write(draw, told(trace, returns, t), SCREEN + 2 * PAD + VIEW, top + 22)
            size = "x".join(map(str, trace.obs.shape[1:3]))
            place = (SCREEN + PAD, top + VIEW + 4)
            draw.text(place, f"what the agent sees ({size})", fill=GREY, font=font(12))
            top += VIEW + 30
        else:
            _write(draw, told(trace, returns, t), SCREEN + PAD, top)
            top += 100
        chosen = shown.index(trace.action[t]) if trace.action[t] in shown else None
        _draw_bars(draw, top, names, chances[t, shown], chosen)
        image.paste(timeline.at(t), (0, SCREEN))
        yield np.asarray(image)


def told(trace: Trace, returns: NDArray[np.float32], t: int) -> list[str]:
    """Return the lines that say what has happened at step t; `returns` [T] includes step t."""
    so_far = returns[t] - trace.reward[t]  # the reward comes with the next observation
    return [f"step {t}", f"return {so_far:g}", f"value {trace.value[t]:.2f}"]


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities of actions, both [T, A]."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
    return chances


def often_likely(chances: NDArray[np.float32], most: int) -> list[int]:
    """Return the actions that are likeliest in an episode, at most `most`, by their number.

    Args:
        chances: [T, A].
        most: at least 1.
    """
    likeliest = np.argsort(-chances.mean(axis=0), kind="stable")[:most]
    return sorted(int(action) for action in likeliest)


def _fitted(picture: Picture, size: int) -> tuple[Image.Image, tuple[int, int]]:
    """Return a picture scaled into a square, and its place there."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    factor = size / max(image.size)
    method = Image.Resampling.NEAREST if factor >= 2 else Image.Resampling.LANCZOS
    width, height = (max(1, round(factor * side)) for side in image.size)
    scaled = image if factor == 1 else image.resize((width, height), method)
    return scaled, ((size - width) // 2, (size - height) // 2)


def _draw_heading(draw: ImageDraw.ImageDraw, title: str, notes: Sequence[str]) -> int:
    """Draw title and notes at the top of the panel; return where there is room below them."""
    width = PANEL - 2 * PAD
    large, small = font(20, bold=True), font(13)
    draw.text((SCREEN + PAD, 10), shortened(title, large, width), fill=WHITE, font=large)
    top = 40
    for note in notes:
        draw.text((SCREEN + PAD, top), shortened(note, small, width), fill=GREY, font=small)
        top += 18
    return top + 10


def _write(draw: ImageDraw.ImageDraw, lines: Sequence[str], x: int, y: int) -> None:
    for line in lines:
        draw.text((x, y), line, fill=WHITE, font=font(18))
        y += 28


def _draw_bars(
    draw: ImageDraw.ImageDraw,
    top: int,
    names: Sequence[str],
    chances: NDArray[np.float32],
    chosen: int | None,
) -> None:
    """Draw a bar for each action [A]; the one that is taken is blue."""
    draw.text((SCREEN + PAD, top), "probability of each action", fill=WHITE, font=font(13))
    top += 22
    height = min(18, (SCREEN - top - 4) // len(names))
    start, end = SCREEN + PAD + NAME, SCREEN + PANEL - PAD - PERCENT
    letters = font(min(12, height))
    for number, (name, chance) in enumerate(zip(names, chances, strict=True)):
        y = top + number * height
        taken = number == chosen
        colour, text = (BLUE, WHITE) if taken else (FAINT, GREY)
        short = shortened(name, letters, NAME - 6)
        middle = y + height // 2
        draw.text((start - 6, middle), short, fill=text, font=letters, anchor="rm")
        draw.rectangle((start, y + 2, end, y + height - 2), fill=(34, 37, 45))
        if length := round(float(chance) * (end - start)):
            draw.rectangle((start, y + 2, start + length, y + height - 2), fill=colour)
        draw.text((end + 6, middle), f"{chance:.0%}", fill=text, font=letters, anchor="lm")
