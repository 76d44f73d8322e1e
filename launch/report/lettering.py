"""Fonts and colours of the pictures that Pillow draws."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import ImageFont

BACKGROUND = (22, 24, 30)
FAINT = (58, 62, 74)
GREY = (160, 166, 180)
WHITE = (238, 240, 244)
BLUE = (86, 156, 255)
GREEN = (74, 200, 120)
RED = (255, 92, 92)


@lru_cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font that comes with matplotlib, `size` in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


def shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return a text that is at most `width` pixels wide; what is left out is an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
