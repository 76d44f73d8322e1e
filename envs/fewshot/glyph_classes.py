"""Choose the classes of `glyphs` and write `glyphs.yaml`: python -m envs.fewshot.glyph_classes.

To be run again only if the fonts or the rules below change. The list is stored so that the classes,
and with them the episodes of a seed, are the same on every machine.

1. All letters, numbers and symbols that no Unicode rule takes apart (which leaves accented copies
   out), without scripts that distortion makes ambiguous (Braille, boxes, dominoes, ...).
2. Of characters that look alike in their first face, the first stays.
3. A quarter turn is a class unless it looks like another class of the split.
4. A training character is removed if one of its faces looks like any face of a validation or test
   character at any quarter turn.
"""

from __future__ import annotations

import textwrap
import unicodedata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.fewshot.glyphs import render
from envs.fewshot.images import TURNS
from envs.fewshot.lookalikes import alike_at_a_turn, cosines, features, first_of_kind

MERGED = 0.93
"""Cosine of features above which two characters are one class."""

REMOVED = 0.88
"""The same for rules 3 and 4, which only remove: rather too many than too few."""

SCRIPTS = {
    "train": ("LATIN", "GREEK", "CYRILLIC", "COPTIC", "CANADIAN"),
    "validation": ("GEORGIAN", "OGHAM"),
    "test": ("ARABIC", "ARMENIAN", "HEBREW", "LAO", "NKO", "TIFINAGH", "ITALIC", "LISU"),
}
"""Words in a character's name that tell its script. What has none is a symbol, for training."""

AMBIGUOUS = (
    *("BRAILLE", "BOX", "DOMINO", "PLAYING"),
    *("HEXAGRAM", "TETRAGRAM", "TRIGRAM", "DIGRAM", "MONOGRAM"),
)

HEADER = """\
# Classes of `glyphs` by split and script: hexadecimal code points, each with the quarter turns that
# are classes (all four if none are given). Written by `python -m envs.fewshot.glyph_classes`.
"""


def choose() -> dict[str, dict[str, dict[int, tuple[int, ...]]]]:
    """Return code points and their quarter turns, by split and script."""
    drawn = {point: faces for point, faces in render(_candidates()).items() if faces}
    points = np.array(list(drawn))
    split_of = np.array([_script(point)[0] for point in points])
    first = features(np.stack([faces[0] for faces in drawn.values()])[..., None])
    kept = first_of_kind(cosines(first, first) > MERGED)
    kept[kept] &= ~_leaks([drawn[point] for point in points[kept]], split_of[kept])
    chosen: dict[str, dict[str, dict[int, tuple[int, ...]]]] = {}
    for split in SCRIPTS:
        mine = kept & (split_of == split)
        for point, turns in zip(points[mine], _distinct_turns(first[mine]), strict=True):
            if turns:
                script = _script(point)[1]
                chosen.setdefault(split, {}).setdefault(script, {})[int(point)] = turns
    return chosen


def _candidates() -> list[int]:
    """Return the letters, numbers and symbols of Unicode's first two planes."""
    return [
        point
        for point in range(0x20000)
        if unicodedata.category(chr(point))[0] in "LNS"
        and not unicodedata.decomposition(chr(point))
        and unicodedata.name(chr(point), "BOX").split()[0] not in AMBIGUOUS
    ]


def _script(point: int) -> tuple[str, str]:
    """Return the split and the script of a character."""
    words = unicodedata.name(chr(point)).replace("-", " ").split()
    for split, scripts in SCRIPTS.items():
        for script in scripts:
            if script in words:
                return split, script
    return "train", "SYMBOL"


def _leaks(faces: list[list[NDArray[np.uint8]]], split_of: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return which characters are for training and look like one that is not."""
    owner = np.repeat(np.arange(len(faces)), [len(pictures) for pictures in faces])
    every = features(np.stack([picture for pictures in faces for picture in pictures])[..., None])
    trained = split_of[owner] == "train"
    alike = alike_at_a_turn(every[trained], every[~trained], REMOVED)
    leaks = np.zeros(len(faces), np.bool_)
    leaks[owner[trained][alike]] = True
    return leaks


def _distinct_turns(first: NDArray[np.float32]) -> list[tuple[int, ...]]:
    """Return for each character the quarter turns that look like no class before them."""
    every = np.concatenate([np.rot90(first, turn, axes=(1, 2)) for turn in range(TURNS)])
    kept = first_of_kind(cosines(every, every) > REMOVED).reshape(TURNS, -1)
    return [tuple(int(turn) for turn in np.flatnonzero(column)) for column in kept.T]


def glyphs_yaml() -> str:
    """Return the text of `glyphs.yaml`."""
    lines = []
    for split, scripts in choose().items():
        lines.append(f"{split}:")
        for script, listed in scripts.items():
            entries = (
                f"{point:X}" if len(turns) == TURNS else f"{point:X}:{''.join(map(str, turns))}"
                for point, turns in listed.items()
            )
            lines.append(f"  {script}: >-")
            lines += textwrap.wrap(
                " ".join(entries),
                96,
                initial_indent="    ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("glyphs.yaml").write_text(glyphs_yaml(), "ascii")
