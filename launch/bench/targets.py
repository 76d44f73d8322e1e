"""How figures are shown: as tables, and in one line that says which are as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """What a measurement should be."""

    name: str
    value: float
    wanted: str  # "at least" or "at most"
    bound: float

    @property
    def holds(self) -> bool:
        """Whether it is."""
        return self.value >= self.bound if self.wanted == "at least" else self.value <= self.bound

    def as_dict(self) -> dict[str, object]:
        """Return it as it goes into a JSON file."""
        return {**self._asdict(), "holds": self.holds}


def verdict(figures: Sequence[Figure]) -> str:
    """Return one line: which of the wanted figures hold."""
    return "; ".join(
        f"{f.name} {f.value:.2f}, wanted {f.wanted} {f.bound}: {'holds' if f.holds else 'MISSED'}"
        for f in figures
    )
