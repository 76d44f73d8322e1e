"""`srwm eval`: measure trained networks, of either kind of run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from launch.play.policies import PolicyResult

Result = TypeVar("Result")


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
    help="Complete episodes of each game on each split, spread over its levels (by default 200); "
    "of a few-shot run in all (1000).",
)
@checkpoint_option("the best of a few-shot run, else the newest")
@click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    help="Seed of sampled actions, and of environments without levels (by default 0); not "
    "few-shot.",
)
@click.option(
    "--sample",
    is_flag=True,
    help="Draw actions with the policy's probabilities, as in training, instead of the likeliest; "
    "not few-shot.",
)
@click.option(
    "--exclude-leaked",
    is_flag=True,
    help="Leave out held-out levels that equal a training level, and say how many; ProcGen only.",
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
    help="Also write every estimate with its interval to this file, as CSV.",
)
@click.option(
    "--out",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=picture_in_a_folder,
    help="Also draw the results into this file, .png, .svg or .pdf.",
)
def evaluate(
    runs: tuple[str, ...],
    splits: tuple[str, ...],
    episodes: int | None,
    checkpoint: str | None,
    seed: int | None,
    sample: bool,
    exclude_leaked: bool,
    shots: int | None,
    shuffle_labels: bool,
    file: Path | None,
    csv_file: Path | None,
    picture: Path | None,
) -> None:
    """Measure the networks of RUN folders and print their scores.

    A run that plays games plays complete episodes; a few-shot run answers episodes of new classes.
    Several runs are compared: runs that differ in their seed only become one row.
    """
    if _are_fewshot(runs):
        games: dict[str, object] = {"--seed": seed, "--sample": sample or None}
        games["--exclude-leaked"] = exclude_leaked or None
        _refuse("a few-shot run has fixed episodes", games)
        _evaluate_fewshot(
            runs, splits, episodes, checkpoint, shots, shuffle_labels, file, csv_file, picture
        )
        return
    fewshot: dict[str, object] = {"--shots": shots, "--shuffle-labels": shuffle_labels or None}
    _refuse(f"{runs[0]} plays games", fewshot)
    from launch import api

    results = api.evaluate_policies(
        runs,
        splits,
        episodes or 200,
        seed or 0,
        notes,
        checkpoint or "newest",
        sample,
        exclude_leaked,
    )
    _report_policies(results, file, csv_file, picture)


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


def _report_policies(
    results: list[PolicyResult], file: Path | None, csv_file: Path | None, picture: Path | None
) -> None:
    from launch.report.policies import (
        as_tree,
        normalised_table,
        return_table,
        shared_facts,
        write_csv,
    )
    from launch.report.policies_picture import draw

    console.print(return_table(results))
    if normalised := normalised_table(results):
        console.print(normalised)
    console.print(shared_facts(results), highlight=False)
    _write(results, as_tree, write_csv, draw, file, csv_file, picture)


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

    splits = [split_name(name) for name in dict.fromkeys(names)] or ["test"]
    results = api.evaluate_fewshot(
        runs, splits, episodes or 1000, shots, shuffle_labels, checkpoint, notes
    )
    console.print(accuracy_table(results))
    for by_shot in shot_tables(results):
        console.print(by_shot)
    console.print(shared_facts(results), highlight=False)
    _write(results, as_tree, write_csv, draw, file, csv_file, picture)


def _write(
    results: list[Result],
    as_tree: Callable[[list[Result]], object],
    write_csv: Callable[[Path, list[Result]], None],
    draw: Callable[[list[Result]], Figure],
    file: Path | None,
    csv_file: Path | None,
    picture: Path | None,
) -> None:
    """Write the results into the files that are asked for: JSON, CSV, picture."""
    from launch.report.files import write_json

    if file:
        with writing(file):
            write_json(file, as_tree(results))
    if csv_file:
        with writing(csv_file):
            write_csv(csv_file, results)
    if picture:
        with writing(picture):
            draw(results).savefig(picture, dpi=120)
