"""`srwm plot`: compare runs by their curves."""

from __future__ import annotations

from pathlib import Path

import click

from launch.cli.terminal import console, picture_in_a_folder, writing


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN ...]")
@click.option(
    "--out",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=picture_in_a_folder,
    help="The picture, .png, .svg or .pdf.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A name in metrics.jsonl and TensorBoard; may be repeated. By default the return of every "
    "game, or the accuracies of a few-shot run.",
)
@click.option(
    "--by",
    multiple=True,
    metavar="KEY",
    help="Runs with the same value of this key are one line; may be repeated. By default all keys "
    "in which the runs differ, but for the seed.",
)
def plot(runs: tuple[str, ...], file: Path, metrics: tuple[str, ...], by: tuple[str, ...]) -> None:
    """Draw the learning curves of RUN folders into one picture.

    Runs that differ in their seed only are one line: their mean, in a band from the worst to the
    best.
    """
    from launch.report.plot import open_runs
    from launch.report.plot import plot as draw

    figure = draw(open_runs(runs), metrics, by)
    with writing(file):
        figure.savefig(file, dpi=110)
    console.print(f"{len(runs)} runs: {file}", highlight=False, soft_wrap=True)
