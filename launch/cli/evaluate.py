"""`srwm eval`: play complete episodes with a trained agent."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import click

from launch.cli.terminal import console, json_option, notes, write_json
from launch.errors import UserError


@click.command("eval")
@click.argument("run")
@click.option(
    "--split", "splits", multiple=True, metavar="NAME", help="May be repeated; by default all."
)
@click.option("--episodes", default=100, type=click.IntRange(1), help="Complete episodes a game.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Of the environments.")
@json_option
def evaluate(
    run: str, splits: tuple[str, ...], episodes: int, seed: int, file: Path | None
) -> None:
    """Play complete episodes with the agent of a RUN folder and print its scores."""
    from rich.progress import Progress

    from envs import overlaps, split_config
    from launch.play.evaluate import evaluate as play
    from launch.play.evaluate import mean_normalised
    from launch.prepare import check
    from launch.report.table import score_table
    from launch.run.folder import RunFolder

    folder, config = RunFolder.open(run)
    default = ("train", "test1", "test2", "test3") if config.envs.is_procgen else ("train",)
    try:
        chosen = {name: split_config(name, config.envs) for name in splits or default}
    except ValueError as error:
        raise UserError(str(error)) from None
    saved = folder.newest_checkpoint()
    agent = check(config, saved).eval()
    for name in chosen:
        if name != "train" and overlaps(name, config.envs):
            logging.warning("split %s: some of its levels were trained on", name)
    scores = []
    with Progress(console=notes, disable=not notes.is_terminal) as progress:
        for name, envs in chosen.items():
            bar = progress.add_task(name, total=episodes * len(envs.tasks))
            scores += play(agent, envs, name, episodes, seed, partial(progress.advance, bar))
    console.print(score_table(scores))
    if file:
        frames = saved["learner"]["frames"]
        means = {name: mean_normalised([s for s in scores if s.split == name]) for name in chosen}
        result: dict[str, object] = {
            "run": run,
            "frames": frames,
            "seed": seed,
            "scores": [score._asdict() for score in scores],
            "mean_normalised": means,
        }
        write_json(file, result)
