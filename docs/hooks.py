"""Pages that the site takes from elsewhere: READMEs beside the code, and the configuration keys."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

if TYPE_CHECKING:
    from launch.config.reference import Key

ROOT = Path(__file__).resolve().parents[1]

READMES = {
    "agents/cores/README.md": "design/cores.md",
    "agents/ops/srwm/README.md": "design/srwm-operator.md",
}
"""From a file of the repository to its page."""

CONFIGURATION = "reference/configuration.md"
"""The page that gets the tables of all keys."""

LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the READMEs as pages."""
    for source, page in READMES.items():
        text = relink((ROOT / source).read_text(), source, page)
        files.append(File.generated(config, page, content=text))
    return files


def key_tables() -> str:
    """Return the tables of both kinds of runs: what `srwm config` prints."""
    from launch.config.fewshot import FewShotConfig
    from launch.config.reference import all_keys

    return (
        "\n## Runs that play games\n"
        + section_tables(all_keys())
        + "\n## Few-shot runs\n"
        + section_tables(all_keys(FewShotConfig))
    )


def section_tables(keys: Iterable[Key]) -> str:
    """Return a table of the keys of each section."""
    rows: dict[str, list[str]] = {}
    for key in keys:
        section = key.name.rpartition(".")[0]
        kind = " ".join(filter(None, [key.type, key.range]))
        default = f"`{key.default}`" if key.default else "required"
        cells = (f"`{key.name}`", kind, default, key.meaning)
        row = " | ".join(cell.replace("|", "\\|") for cell in cells)
        rows.setdefault(section, []).append(f"| {row} |")
    lines: list[str] = []
    for section, of_section in rows.items():
        title = f"`{section}`" if section else "The run"
        lines += ["", f"### {title}", "", "| Key | Type | Default | Meaning |", "|---|---|---|---|"]
        lines += of_section
    return "\n".join(lines) + "\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to a README beside the code lead to its page, and add the tables of keys."""
    uri = page.file.src_uri
    if uri == CONFIGURATION:
        markdown += key_tables()
    return markdown if uri in READMES.values() else relink(markdown, f"docs/{uri}", uri)


def relink(text: str, source: str, page: str) -> str:
    """Rewrite the relative links of a repository file so that they hold on its page.

    Args:
        text: Markdown.
        source: path of the file in the repository; its links start there.
        page: path of its page in the site's sources.
    """

    def rewrite(match: re.Match[str]) -> str:
        before, link, after = match.groups()
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        known = READMES.get(target) or target.removeprefix("docs/")
        if known == target:  # not a page
            return match[0]
        return before + posixpath.relpath(known, posixpath.dirname(page)) + after

    return LINK.sub(rewrite, text)
