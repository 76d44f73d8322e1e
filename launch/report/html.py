"""Build a web page that is one file: text is escaped, pictures are in it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

KINDS = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
"""Pictures that browsers show, by the ending of their name."""

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; }
body { margin: 0 auto; padding: 1rem 2rem; }
h1 { font-size: 1.7rem; margin-bottom: 0; }
h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem; text-align: left; border-bottom: 1px solid var(--line); }
th { white-space: nowrap; } tbody tr:hover { background: var(--soft); }
.number { text-align: right; white-space: nowrap; }
img { max-width: 100%; background: white; border-radius: 4px; }
figure { margin: 1rem 0; } figcaption, .note { color: #888; font-size: 0.9rem; }
pre { background: var(--soft); padding: 0.8rem; overflow-x: auto; }
"""


def page(title: str, sections: Sequence[tuple[str, str]]) -> str:
    """Return a page of sections, each a heading (text) and its content (HTML); empty ones go."""
    parts = [f"<h2>{escape(heading)}</h2>\n{content}" for heading, content in sections if content]
    body = "\n".join([f"<h1>{escape(title)}</h1>", *parts])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; what is no text stands on the right, None is a dash."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody>\n</table></div>"
    )


def note(text: str) -> str:
    """Return a remark."""
    return f'<p class="note">{escape(text)}</p>'


def details(summary: str, text: str) -> str:
    """Return lines of text that open when their summary is clicked."""
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def drawing(figure: Figure, description: str) -> str:
    """Return a figure as a picture in the page."""
    file = BytesIO()
    figure.savefig(file, format="svg")
    return _image(file.getvalue(), KINDS[".svg"], description)


def picture(file: Path, caption: str) -> str:
    """Return a file of one of `KINDS` as a picture in the page.

    Raises:
        OSError: if it cannot be read.
    """
    image = _image(file.read_bytes(), KINDS[file.suffix.lower()], caption)
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def link(address: str, text: str) -> str:
    """Return a paragraph that leads to an address."""
    return f'<p><a href="{escape(address)}">{escape(text)}</a></p>'


def number(value: object) -> str:
    """Write a whole number in full, another with some four digits."""
    if not isinstance(value, float):
        return f"{value:,}"
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _cell(value: object) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    text = "-" if value is None else number(value)
    return f'<td class="number">{escape(text)}</td>'


def _image(content: bytes, kind: str, description: str) -> str:
    data = base64.b64encode(content).decode()
    return f'<img alt="{escape(description)}" src="data:{kind};base64,{data}">'
