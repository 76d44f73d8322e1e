"""`srwm replay`: find why a run ended with losses or gradients that were not finite."""

from __future__ import annotations

from pathlib import Path

import click

from launch.cli.terminal import console
from launch.errors import RunError

ROWS = 10
"""What follows from the first one is mostly not finite either."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def replay(folder: Path) -> None:
    """Run the update of FOLDER again and find the first tensor that is not finite.

    FOLDER is RUN/nonfinite/VERSION, which a run writes when it ends because of losses or gradients
    that are not finite. The exit status is 0 if the cause was found, 1 if all is finite here.
    """
    from launch.play.replay import replay as run
    from launch.report.table import findings_table

    findings = run(folder)
    if not findings:
        raise RunError(
            f"{folder}: all is finite in this update on this machine's CPU: the cause was in the "
            "device, the precision or the kernels of the run"
        )
    first = findings[0]
    console.print(f"first: {first.kind} {first.name}", highlight=False, soft_wrap=True)
    console.print(findings_table(findings, ROWS))
