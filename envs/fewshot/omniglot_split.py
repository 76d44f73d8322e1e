"""The split of Omniglot by Vinyals et al. (2016): 1028, 172 and 423 of its 1623 characters.

It goes by whole alphabets, except that Gurmukhi is cut after its character 41. Same characters as
in the files of torchmeta and of the official SRWM code.
"""

from __future__ import annotations

from envs.fewshot.images import Split

BACKGROUND: dict[Split, dict[str, int]] = {
    "train": {
        "Alphabet_of_the_Magi": 20,
        "Anglo-Saxon_Futhorc": 29,
        "Arcadian": 26,
        "Asomtavruli_(Georgian)": 40,
        "Balinese": 24,
        "Blackfoot_(Canadian_Aboriginal_Syllabics)": 14,
        "Braille": 26,
        "Burmese_(Myanmar)": 34,
        "Cyrillic": 33,
        "Futurama": 26,
        "Grantha": 43,
        "Greek": 24,
        "Gujarati": 48,
        "Inuktitut_(Canadian_Aboriginal_Syllabics)": 16,
        "Japanese_(hiragana)": 52,
        "Japanese_(katakana)": 47,
        "Korean": 40,
        "Latin": 26,
        "Malay_(Jawi_-_Arabic)": 40,
        "N_Ko": 33,
        "Ojibwe_(Canadian_Aboriginal_Syllabics)": 14,
        "Sanskrit": 42,
        "Syriac_(Estrangelo)": 23,
        "Tagalog": 17,
        "Tifinagh": 55,
    },
    "validation": {
        "Armenian": 41,
        "Bengali": 46,
        "Early_Aramaic": 22,
        "Hebrew": 22,
        "Mkhedruli_(Georgian)": 41,
    },
    "test": {},
}
"""Alphabets in images_background.zip with their number of characters, which count from 1."""

EVALUATION: dict[Split, dict[str, int]] = {
    "train": {
        "Angelic": 20,
        "Atemayar_Qelisayer": 26,
        "Atlantean": 26,
        "Aurek-Besh": 26,
        "Avesta": 26,
        "Ge_ez": 26,
        "Glagolitic": 45,
    },
    "validation": {},
    "test": {
        "Kannada": 41,
        "Keble": 26,
        "Malayalam": 47,
        "Manipuri": 40,
        "Mongolian": 30,
        "Old_Church_Slavonic_(Cyrillic)": 45,
        "Oriya": 46,
        "Sylheti": 28,
        "Syriac_(Serto)": 23,
        "Tengwar": 25,
        "Tibetan": 42,
        "ULOG": 26,
    },
}
"""Alphabets in images_evaluation.zip, without the one that is cut."""

CUT = "Gurmukhi"

CUT_RANGES: dict[Split, range] = {
    "train": range(1, 42),
    "validation": range(0),
    "test": range(42, 46),
}
"""Characters of that alphabet in each split."""


def characters(split: Split) -> list[tuple[str, str, str]]:
    """Return (archive without its ending, alphabet, character) for each character of a split."""
    ranges = [
        ("images_background", alphabet, range(1, count + 1))
        for alphabet, count in BACKGROUND[split].items()
    ]
    ranges += [
        ("images_evaluation", alphabet, range(1, count + 1))
        for alphabet, count in EVALUATION[split].items()
    ]
    ranges.append(("images_evaluation", CUT, CUT_RANGES[split]))
    return [
        (archive, alphabet, f"character{number:02}")
        for archive, alphabet, numbers in ranges
        for number in numbers
    ]
