"""What a reader needs to know of a result: beside it where results differ, else said once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from launch.play.intervals import Estimate

Facts = Mapping[str, str]
"""In words, by their names; all results have the same names."""


def differing(facts: Sequence[Facts]) -> list[str]:
    """Return the names of the facts by which results differ; the core is always among them."""
    return [
        name for name in facts[0] if name == "core" or len({result[name] for result in facts}) > 1
    ]


def shared(facts: Sequence[Facts], units: Collection[str]) -> str:
    """Return what all results share, and what their intervals are over.

    Args:
        facts: of the results.
        units: of the intervals: `episodes`, `seeds` or both.
    """
    names = differing(facts)
    same = ", ".join(f"{name} {x}" for name, x in facts[0].items() if name not in names)
    over = "seeds where there are several, else over episodes"
    return f"{same}. The intervals are over {over if len(units) > 1 else next(iter(units))}."


def plain(fact: str) -> str:
    """Return numbers as a program reads them, 1000 for 1,000."""
    without = fact.replace(",", "")
    return without if without.replace(" ", "").isdecimal() else fact


def with_half(estimate: Estimate | None, form: str, scale: float = 1) -> str | None:
    """Write `scale` times an estimate with half the width of its interval, as 12.3±0.4."""
    if estimate is None:
        return None
    mean = format(scale * estimate.mean, form)
    if estimate.low is None or estimate.high is None:
        return mean
    return f"{mean}±{format(scale / 2 * (estimate.high - estimate.low), form)}"
