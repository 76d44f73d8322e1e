"""`srwm eval`: measure trained networks, of either kind of run."""

from __future__ import annotations

from pathlib import Path

import click

from launch.cli.terminal import (
    MAX_SEED,
    checkpoint_option,
    console,
    file_in_a_folder,
    json_option,
    notes,
    picture_in_a_folder,
    writing,
)
from launch.errors import UserError


@click.command("eval")
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN ...]")
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME",
    help="Levels to play, or classes to try; may be repeated. By default all levels that the tasks "
    "have; of a few-shot run the test classes.",
)
@click.option(
    "--episodes",
    type=click.IntRange(1),
    help="Complete episodes of each game (by default 100); of a few-shot run in all (1000).",
)
@checkpoint_option("the best of a few-shot run, else the newest")
@click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    help="Seed of the environments (by default 0); not few-shot.",
)
@click.option(
    "--shots",
    type=click.IntRange(1),
    help="Few-shot: labelled images of each class; by default as in training.",
)
@click.option(
    "--shuffle-labels",
    is_flag=True,
    help="Few-shot, a control: labels that say nothing about the images. Expect chance.",
)
@json_option
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=file_in_a_folder,
    help="Few-shot: write every accuracy, by shot and by position, to this file.",
)
@click.option(
    "--out",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=picture_in_a_folder,
    help="Few-shot: draw the accuracies into this file, .png, .svg or .pdf.",
)
def evaluate(
    runs: tuple[str, ...],
    splits: tuple[str, ...],
    episodes: int | None,
    checkpoint: str | None,
    seed: int | None,
    shots: int | None,
    shuffle_labels: bool,
    file: Path | None,
    csv_file: Path | None,
    picture: Path | None,
) -> None:
    """Measure the networks of RUN folders and print their scores.

    A run that plays games plays complete episodes. Few-shot runs are compared: they answer the same
    episodes, and runs that differ in their seed only become one row.
    """
    if _are_fewshot(runs):
        _refuse("a few-shot run has fixed episodes", {"--seed": seed})
        _evaluate_fewshot(
            runs, splits, episodes, checkpoint, shots, shuffle_labels, file, csv_file, picture
        )
        return
    fewshot: dict[str, object] = {"--shots": shots, "--shuffle-labels": shuffle_labels or None}
    _refuse(f"{runs[0]} plays games", fewshot | {"--csv": csv_file, "--out": picture})
    if len(runs) > 1:
        raise UserError(f"{runs[1]}: runs that play games are evaluated one at a time")
    _evaluate_policy(runs[0], splits, episodes, checkpoint, seed, file)


def _are_fewshot(runs: tuple[str, ...]) -> bool:
    """Return whether the runs are few-shot runs; refuse a mixture."""
    from launch.config.fewshot import FewShotConfig
    from launch.run.folder import RunFolder

    kinds = {isinstance(RunFolder.open_any(run)[1], FewShotConfig): run for run in runs}
    if len(kinds) > 1:
        raise UserError(
            f"{kinds[False]} plays games and {kinds[True]} is a few-shot run: evaluate each kind "
            "with a command of its own"
        )
    return True in kinds


def _refuse(why: str, options: dict[str, object]) -> None:
    """Refuse options that would have no effect."""
    for name, value in options.items():
        if value is not None:
            raise UserError(f"{name}: has no effect, {why}: leave it out")


def _evaluate_policy(
    run: str,
    splits: tuple[str, ...],
    episodes: int | None,
    checkpoint: str | None,
    seed: int | None,
    file: Path | None,
) -> None:
    from launch import api
    from launch.report.files import write_json
    from launch.report.table import score_table

    result = api.evaluate(run, splits, episodes or 100, seed or 0, notes, checkpoint or "newest")
    console.print(score_table(result.scores))
    if file:
        scores = [score._asdict() for score in result.scores]
        with writing(file):
            write_json(file, {"run": run, **result._asdict(), "scores": scores})


def _evaluate_fewshot(
    runs: tuple[str, ...],
    names: tuple[str, ...],
    episodes: int | None,
    checkpoint: str | None,
    shots: int | None,
    shuffle_labels: bool,
    file: Path | None,
    csv_file: Path | None,
    picture: Path | None,
) -> None:
    from launch import api
    from launch.play.fewshot_runs import split_name
    from launch.report.fewshot import accuracy_table, as_tree, shared_facts, shot_tables, write_csv
    from launch.report.fewshot_picture import draw
    from launch.report.files import write_json

    splits = [split_name(name) for name in dict.fromkeys(names)] or ["test"]
    results = api.evaluate_fewshot(
        runs, splits, episodes or 1000, shots, shuffle_labels, checkpoint, notes
    )
    console.print(accuracy_table(results))
    for by_shot in shot_tables(results):
        console.print(by_shot)
    console.print(shared_facts(results), highlight=False)
    if file:
        with writing(file):
            write_json(file, as_tree(results))
    if csv_file:
        with writing(csv_file):
            write_csv(csv_file, results)
    if picture:
        with writing(picture):
            draw(results).savefig(picture, dpi=120)
