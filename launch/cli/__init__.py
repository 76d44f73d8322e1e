"""The command line: `srwm train`, `srwm eval`, `srwm trace`, `srwm bench`, `srwm doctor`."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click
from rich.logging import RichHandler

from launch.cli.bench import bench
from launch.cli.doctor import doctor
from launch.cli.evaluate import evaluate
from launch.cli.output import keep_output_alive
from launch.cli.terminal import console, help_without_command, notes
from launch.cli.trace import trace
from launch.cli.train import fewshot, train
from launch.errors import RunError, UserError


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def srwm(context: click.Context) -> None:
    """Train agents whose memory rewrites itself."""
    help_without_command(context)


for command in (train, fewshot, evaluate, trace, bench, doctor):
    srwm.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; the exit status is 2 for bad input, with one line on stderr."""
    # Before torch is imported. A thread that spins at a barrier keeps the very thread that it waits
    # for off the core wherever others use the machine too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_output_alive()
    # Environments of the user's own are found where the command is given, as with `python -m`.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
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
    except click.ClickException as error:
        status = _end(2, error.format_message())
    sys.exit(status)


def _end(status: int, message: str) -> int:
    print("srwm: " + " ".join(message.split()), file=sys.stderr)
    return status
