"""The command line: `srwm train`, `srwm fewshot`, `srwm eval` and what helps with them."""

from __future__ import annotations

import logging
import os
import pkgutil
import sys
from typing import Any

import click
from rich.logging import RichHandler

from launch.cli.output import keep_output_alive
from launch.cli.terminal import console, help_without_command, notes
from launch.errors import RunError, UserError
from launch.paths import find_own_modules

COMMANDS = {
    "train": "launch.cli.train:train",
    "fewshot": "launch.cli.train:fewshot",
    "eval": "launch.cli.evaluate:evaluate",
    "plot": "launch.cli.plot:plot",
    "report": "launch.cli.report:report",
    "trace": "launch.cli.trace:trace",
    "record": "launch.cli.record:record",
    "replay": "launch.cli.replay:replay",
    "config": "launch.cli.config:config",
    "configs": "launch.cli.config:configs",
    "doctor": "launch.cli.doctor:doctor",
    "bench": "launch.cli.bench:bench",
    "chaos": "launch.cli.chaos:chaos",
    "deploy": "launch.cli.deploy:deploy",
}


LONGEST = 4000  # characters of an error message


class _Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = pkgutil.resolve_name(COMMANDS[cmd_name])
        return command


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="srwm", prog_name="srwm")
@click.pass_context
def srwm(context: click.Context) -> None:
    """Train agents whose memory rewrites itself."""
    help_without_command(context)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. What ends it is one line on stderr.

    The exit status is 2 for bad input, 1 for a run that cannot go on or an environment that fails.
    """
    # Before torch is imported. A thread that spins at a barrier keeps the very thread that it waits
    # for off the core wherever others use the machine too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_output_alive()
    # Modules of the user's own are found where the command is given, as with `python -m`.
    find_own_modules()
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        # On a terminal by the console of the live display, which then keeps below the lines.
        handlers=[
            RichHandler(
                console=console if console.is_terminal else notes, show_time=False, show_path=False
            )
        ],
    )
    status: Any = 0
    try:
        status = srwm.main(arguments, prog_name="srwm", standalone_mode=False)
    except click.exceptions.Abort:
        status = 130
    except KeyboardInterrupt:
        status = 130
    except UserError as error:
        status = _end(2, str(error))
    except RunError as error:
        status = _end(1, str(error))
    except RuntimeError as error:
        from envs.faults import EnvFault  # only now: it takes a moment to import

        if not isinstance(error, EnvFault):
            raise
        status = _end(1, str(error))
    except click.NoSuchOption as error:
        status = _end(2, _key_for(error, arguments or sys.argv[1:]) or error.format_message())
    except click.ClickException as error:
        status = _end(2, error.format_message())
    sys.exit(status)


def _key_for(error: click.NoSuchOption, arguments: list[str]) -> str | None:
    """Return how to set the key of the configuration that was given as an option: `--seed 3`."""
    parameters = error.ctx.command.params if error.ctx else []
    if error.possibilities or not any("KEY=VALUE" in (p.metavar or "") for p in parameters):
        return None
    from launch.cli.completion import kind_of
    from launch.config.reference import nearest

    option = error.option_name
    key = nearest(option.lstrip("-"), kind_of(error.ctx.info_name if error.ctx else None))
    words = " ".join(arguments).replace(f"{option}=", f"{option} ").split()
    value = next(iter(words[words.index(option) + 1 :]), "VALUE") if option in words else "VALUE"
    return key and f"{option}: there is no such option; did you mean {key}={value}?"


def _end(status: int, message: str) -> int:
    line = " ".join(message.split())
    if len(line) > LONGEST:
        line = f"{line[:LONGEST]} ..."
    # What was typed or read may hold signs that steer the terminal, or that no encoding has.
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
    print(f"srwm: {line}", file=sys.stderr)
    return status
