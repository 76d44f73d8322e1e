"""Where all commands print, and the options that several share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from launch.errors import UserError
from launch.paths import why_not_writable

MAX_SECONDS = 10**6
MAX_SEED = 2**31 - 1  # ProcGen's, and that of a configuration
PICTURES = (".png", ".svg", ".pdf")

F = TypeVar("F", bound=Callable[..., Any])

# Names of files and tasks are printed as they are: `[b]` in one is no markup, `:x:` no picture.
console = Console(markup=False, emoji=False)
notes = Console(stderr=True, markup=False, emoji=False)


def file_in_a_folder(_: click.Context, option: click.Parameter, file: Path | None) -> Path | None:
    """Refuse a file that cannot be written, before the work is done."""
    if file and (reason := why_not_writable(file)):
        raise UserError(f"{option.opts[0]} {file}: cannot be written: {reason}")
    if file and not (file.parent.is_dir() and os.access(file.parent, os.W_OK)):
        raise UserError(
            f"{option.opts[0]} {file}: {file.parent} is not a folder that can be written to"
        )
    return file


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Refuse a file of the user's that turns out not to be writable."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror or error}") from None


class Duration(click.FloatRange):
    """A number of seconds or minutes in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse also NaN, which is outside no range."""
        duration = super().convert(value, param, ctx)
        if math.isnan(duration):
            self.fail(f"{value!r} is not a duration", param, ctx)
        return duration


SECONDS = Duration(1, MAX_SECONDS)


def picture_in_a_folder(
    context: click.Context, option: click.Parameter, file: Path | None
) -> Path | None:
    """Refuse the same, and a kind of picture that is not drawn."""
    if file and file.suffix not in PICTURES:
        raise UserError(f"{option.opts[0]} {file}: the name must end in {', '.join(PICTURES)}")
    return file_in_a_folder(context, option, file)


def checkpoint_option(default: str) -> Callable[[F], F]:
    """Return the option `--checkpoint`; None stands for what `default` says."""
    return click.option(
        "--checkpoint",
        metavar="best|newest|FRAMES",
        help="The checkpoint that is used: the best one on validation, the newest one, or the one "
        f"of so many frames (images). By default {default}.",
    )


json_option = click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=file_in_a_folder,
    help="Also write the results to this file, as JSON.",
)


def help_without_command(context: click.Context) -> None:
    """Print a group's help if none of its commands is named."""
    if not context.invoked_subcommand:
        click.echo(context.get_help())
