"""`srwm train`: train a run, or continue one."""

from __future__ import annotations

import click

from launch.cli.terminal import console
from launch.errors import UserError


@click.command()
@click.argument("arguments", nargs=-1, metavar="[CONFIG] [KEY=VALUE ...]")
@click.option("--resume", metavar="RUN", help="Continue the run in this folder.")
def train(arguments: tuple[str, ...], resume: str | None) -> None:
    """Train. CONFIG is a path or the name of a file in configs/; KEY=VALUE sets a dotted key.

    With --resume, CONFIG is the run's own.
    """
    from launch import api

    names = [argument for argument in arguments if "=" not in argument]
    overrides = [argument for argument in arguments if "=" in argument]
    if resume:
        if names:
            raise UserError(f"{names[0]!r}: --resume takes its configuration from the run")
        api.resume(resume, overrides, console)
        return
    if len(names) != 1:
        raise UserError(
            f"expected one CONFIG, found {len(names)}: srwm train CONFIG [KEY=VALUE ...]"
        )
    api.train(api.load_config(names[0], overrides), names[0], console)
