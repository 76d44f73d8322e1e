"""`srwm chaos`: train on a local cluster while processes, nodes and environments fail."""

from __future__ import annotations

import time
from pathlib import Path

import click

from launch.cli.completion import complete_config, complete_override
from launch.cli.terminal import (
    MAX_SECONDS,
    Duration,
    console,
    file_in_a_folder,
    notes,
    picture_in_a_folder,
    writing,
)
from launch.errors import RunError, UserError


@click.command()
@click.argument("config", shell_complete=complete_config)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]", shell_complete=complete_override)
@click.option(
    "--minutes",
    default=5.0,
    show_default=True,
    type=Duration(0, MAX_SECONDS / 60, min_open=True),
    help="How long faults happen; 20 minutes have 141 of them.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the faults.")
@click.option(
    "--nodes", default=3, show_default=True, type=click.IntRange(2), help="Nodes of the cluster."
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=file_in_a_folder,
    help="Write the results to this file, as JSON.",
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=picture_in_a_folder,
    help="Draw throughput over time, with the faults.",
)
def chaos(
    config: str,
    overrides: tuple[str, ...],
    minutes: float,
    seed: int,
    nodes: int,
    out: Path,
    picture: Path | None,
) -> None:
    """Train CONFIG on a cluster of this machine while faults happen, and check what must hold.

    Workers, the learner and the driver are killed, nodes are lost and join, environments raise and
    hang, at times drawn from the seed. Then the run is stopped, continued and finished. The exit
    status is 1 if an invariant is broken.
    """
    from launch.config.source import load_config

    loaded = load_config(config, overrides)
    if loaded.launch.address:
        raise UserError("launch.address: leave it out: chaos starts a cluster of its own")

    from launch.chaos import report
    from launch.chaos.run import run_chaos
    from launch.machine.facts import machine
    from launch.prepare import prepare
    from launch.report.files import write_json
    from launch.run.folder import RunFolder

    run = RunFolder(loaded.run_dir or f"runs/chaos-{Path(config).stem}-{time.strftime(TIME)}")
    if run.config_file.exists():
        raise UserError(f"run_dir: {run.path} already holds a run: name another folder")
    resolved = prepare(loaded, run).config
    notes.print(f"run folder: {run.path}", highlight=False, soft_wrap=True)
    result = run_chaos(resolved, run, minutes, seed, nodes, _note)
    for table in report.tables(result):
        console.print(table)
        console.print()
    arguments = {"minutes": minutes, "seed": seed, "nodes": nodes}
    tree = {**machine(), **arguments, **result.as_dict()}
    with writing(out):
        write_json(out, {**tree, "config": resolved.model_dump(mode="json")})
    if picture:
        title = f"{Path(config).stem}: {len(result.events)} faults in {minutes:g} minutes"
        with writing(picture):
            report.picture(result, title).savefig(picture, dpi=110)
    if not result.holds:
        broken = ", ".join(v.invariant for v in result.verdicts if not v.holds)
        raise RunError(f"broken: {broken}; the run is in {run.path}")


TIME = "%Y%m%d-%H%M%S"


def _note(text: str) -> None:
    notes.print(text, highlight=False)
