"""Build tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from learners import Finding

Column = tuple[str, str]
"""A title, and how numbers are written (such as ",.0f"); "" for a column of text."""


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], caption: str | None = None
) -> Table:
    """Return a table; numbers stand on the right, None is a dash, a text stays as it is."""
    made = Table(box=None, header_style="bold", caption=caption)
    for title, form in columns:
        # On a narrow terminal a name or number goes on in the next line: none is cut.
        made.add_column(title, justify="right" if form else "left", overflow="fold")
    for row in rows:
        cells = zip(row, columns, strict=True)
        made.add_row(*(_cell(value, form) for value, (_, form) in cells))
    return made


def _cell(value: object, form: str) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else format(value, form)


def findings_table(findings: Sequence[Finding], most: int) -> Table:
    """Return the first of what was found as a table, and say how much follows."""
    rows = [
        (f.kind, f.name, _sizes(f.shape), f.nans, f.infs, _sizes(f.first)) for f in findings[:most]
    ]
    columns = [("kind", ""), ("where", ""), ("shape", ""), ("NaN", ",d"), ("inf", ",d")]
    rest = len(findings) - len(rows)
    columns.append(("first index", ""))
    return table(columns, rows, caption=f"and {rest} that follow" if rest else None)


def _sizes(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers)) or "-"
