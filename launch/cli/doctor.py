"""`srwm doctor`: check this machine and estimate how long a run takes."""

from __future__ import annotations

import click

from launch.cli.completion import complete_config, complete_override
from launch.cli.terminal import SECONDS, console, notes
from launch.errors import RunError


@click.command()
@click.argument("config", default="quickstart", shell_complete=complete_config)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]", shell_complete=complete_override)
@click.option("--seconds", default=60.0, type=SECONDS, help="Length of the trial run.")
def doctor(config: str, overrides: tuple[str, ...], seconds: float) -> None:
    """Check this machine, make a short trial run, and estimate how long CONFIG takes."""
    from launch.config.source import load_config

    loaded = load_config(config, overrides)
    from launch.machine.doctor import examine, findings_table, forecast
    from launch.machine.parts import whole
    from launch.prepare import prepare

    findings = list(examine())
    console.print(findings_table(findings))
    missing = [finding.name for finding in findings if finding.remedy and finding.needed]
    if missing:
        raise RunError(f"{', '.join(missing)}: nothing runs without it")
    run = prepare(loaded).config
    notes.print(f"trying {config} for {seconds:.0f} s")
    frames_per_second, memory = whole(run, seconds)
    console.print(forecast(run.total_frames, frames_per_second), highlight=False)
    console.print(f"memory of all processes: {memory:.1f} GB", highlight=False)
