"""`srwm train` and `srwm fewshot`: start a run, or continue one."""

from __future__ import annotations

from collections.abc import Callable

import click

from launch.cli.completion import complete_config
from launch.cli.terminal import console
from launch.errors import UserError

Arguments = Callable[[Callable[..., None]], click.Command]


def _command(name: str, help_text: str) -> Arguments:
    """Return a decorator that makes a command with the arguments of a run."""

    def decorate(function: Callable[..., None]) -> click.Command:
        for option in (
            click.option("--resume", metavar="RUN", help="Continue the run in this folder."),
            click.option(
                "--auto-resume",
                is_flag=True,
                help="Continue the run in run_dir if there is one, else start it: "
                "the one line of a job that is queued again.",
            ),
            click.argument(
                "arguments",
                nargs=-1,
                metavar="[CONFIG] [KEY=VALUE ...]",
                shell_complete=complete_config,
            ),
        ):
            function = option(function)
        return click.command(name, help=help_text)(function)

    return decorate


@_command(
    "train",
    "Train a policy on games. CONFIG is a path or the name of a file in configs/; KEY=VALUE sets a "
    "dotted key. With --resume, CONFIG is the run's own.",
)
def train(arguments: tuple[str, ...], resume: str | None, auto_resume: bool) -> None:
    """Start or continue a run that plays games."""
    from launch.config.schema import LoadedConfig

    _run("train", LoadedConfig, arguments, resume, auto_resume)


@_command(
    "fewshot",
    "Train a classifier that learns new classes from a few images. CONFIG is a path or the name of "
    "a file in configs/; KEY=VALUE sets a dotted key. With --resume, CONFIG is the run's own.",
)
def fewshot(arguments: tuple[str, ...], resume: str | None, auto_resume: bool) -> None:
    """Start or continue a few-shot run."""
    from launch.config.fewshot import FewShotConfig

    _run("fewshot", FewShotConfig, arguments, resume, auto_resume)


def _run(
    command: str,
    kind: type,
    arguments: tuple[str, ...],
    resume: str | None,
    auto_resume: bool,
) -> None:
    from launch.config.source import expect, load_any_config

    names = [argument for argument in arguments if "=" not in argument]
    overrides = [argument for argument in arguments if "=" in argument]
    if resume:
        if names:
            raise UserError(f"{names[0]!r}: --resume takes its configuration from the run")
        from launch import api

        api.resume(resume, overrides, console, own_process=True)
        return
    if len(names) != 1:
        raise UserError(
            f"expected one CONFIG, found {len(names)}: srwm {command} CONFIG [KEY=VALUE ...]"
        )
    config = expect(kind, load_any_config(names[0], overrides), f"config {names[0]!r}")
    from launch import api  # imports torch, which takes seconds: a mistake is answered before

    api.train(config, names[0], console, auto_resume, own_process=True)
