"""`srwm eval`: play complete episodes with a trained agent."""

from __future__ import annotations

from pathlib import Path

import click

from launch.cli.terminal import console, json_option, notes


@click.command("eval")
@click.argument("run")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME",
    help="Split of levels to play; may be repeated. By default all that the tasks have.",
)
@click.option(
    "--episodes",
    default=100,
    type=click.IntRange(1),
    show_default=True,
    help="Complete episodes of each game.",
)
@click.option(
    "--seed", default=0, type=click.IntRange(0), show_default=True, help="Seed of the environments."
)
@json_option
def evaluate(
    run: str, splits: tuple[str, ...], episodes: int, seed: int, file: Path | None
) -> None:
    """Play complete episodes with the agent of a RUN folder and print its scores."""
    from launch import api
    from launch.report.files import write_json
    from launch.report.table import score_table

    result = api.evaluate(run, splits, episodes, seed, notes)
    console.print(score_table(result.scores))
    if file:
        scores = [score._asdict() for score in result.scores]
        write_json(file, {"run": run, **result._asdict(), "scores": scores})
