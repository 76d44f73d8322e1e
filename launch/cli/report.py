"""`srwm report`: compare runs on one web page."""

from __future__ import annotations

from pathlib import Path

import click

from launch.cli.terminal import console, file_in_a_folder, writing
from launch.errors import UserError


def _page_in_a_folder(context: click.Context, option: click.Parameter, file: Path) -> Path | None:
    """Refuse a file that cannot be written, and one that a browser would not show."""
    if file.suffix not in (".html", ".htm"):
        raise UserError(f"{option.opts[0]} {file}: the name must end in .html")
    return file_in_a_folder(context, option, file)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN ...]")
@click.option(
    "--out",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_page_in_a_folder,
    help="The page, .html.",
)
def report(runs: tuple[str, ...], file: Path) -> None:
    """Write a web page about RUN folders: curves, scores, speed, differences, pictures.

    It is one file and needs no server. Runs that differ in their seed only are one line of the
    curves. Videos in the run folders are linked.
    """
    from launch.report.plot import open_runs
    from launch.report.run_page import run_page

    opened = open_runs(runs)
    with writing(file):
        # A name of a file may hold bytes that are no text.
        file.write_bytes(run_page(opened, file).encode("utf-8", "replace"))
    console.print(f"{len(runs)} runs: {file}", highlight=False, soft_wrap=True)
