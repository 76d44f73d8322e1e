"""The commands `srwm bench ...`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from launch.cli.completion import complete_config, complete_override
from launch.cli.terminal import (
    SECONDS,
    console,
    help_without_command,
    json_option,
    notes,
    writing,
)
from launch.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from launch.config.fewshot import FewShotConfig

Command = TypeVar("Command", bound=Callable[..., Any])


def _positive_integers(_: click.Context, option: click.Parameter, text: str) -> list[int]:
    """Read integers between commas."""
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise UserError(f"{option.opts[0]} {text!r}: expected positive integers such as 1,8,64")
    return numbers


class Result(Protocol):
    """What a benchmark returns."""

    def tables(self) -> list[Table]:
        """Return what is printed."""

    def summary(self) -> str:
        """Return one line that says what follows from it."""

    def as_dict(self) -> dict[str, object]:
        """Return what is written as JSON."""


def _report(result: Result, file: Path | None, **more: object) -> None:
    """Print a result, and write it with the machine that it belongs to."""
    from launch.machine.facts import machine
    from launch.report.files import write_json

    for table in result.tables():
        console.print(table)
        console.print()
    console.print(result.summary(), soft_wrap=True, highlight=False)
    if file:
        with writing(file):
            write_json(file, {**machine(), **result.as_dict(), **more})


def _measuring(part: str) -> None:
    notes.print(f"measuring {part}")


def _seconds(default: float, text: str) -> Callable[[Command], Command]:
    return click.option("--seconds", default=default, show_default=True, type=SECONDS, help=text)


def _of_a_run(default: str) -> Callable[[Command], Command]:
    """Add the arguments that name a configuration."""

    def add(command: Command) -> Command:
        overrides = click.argument(
            "overrides", nargs=-1, metavar="[KEY=VALUE ...]", shell_complete=complete_override
        )
        config = click.argument("config", default=default, shell_complete=complete_config)
        return config(overrides(command))

    return add


@click.group(invoke_without_command=True)
@click.pass_context
def bench(context: click.Context) -> None:
    """Measure speed here, how well the cores remember, and a few-shot yardstick."""
    help_without_command(context)


@bench.command("e2e")
@_of_a_run("quickstart")
@_seconds(60, "Duration of the measurement of the whole.")
@json_option
def end_to_end(config: str, overrides: tuple[str, ...], seconds: float, file: Path | None) -> None:
    """Measure environments, acting, staging and learning alone, then all of it together."""
    from launch.config.source import load_config

    loaded = load_config(config, overrides)

    from launch.bench.e2e import end_to_end as measure
    from launch.prepare import prepare

    run = prepare(loaded).config
    _report(measure(run, seconds, _measuring), file, config=run.model_dump(mode="json"))


@bench.command("core")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@_seconds(60, "Duration of all measurements; each part is measured at least five times.")
@json_option
def core(device: str, seconds: float, file: Path | None) -> None:
    """Measure every core and its kernels, against plain PyTorch and the LSTM."""
    from launch.bench.core import core_speed
    from launch.bench.problems import PAPER

    _report(core_speed(device, PAPER[device], seconds, _measuring), file)


@bench.command("learner")
@_of_a_run("paper-easy6")
@_seconds(30, "Duration of the measurement of updates.")
@json_option
def learner(config: str, overrides: tuple[str, ...], seconds: float, file: Path | None) -> None:
    """Measure a learner update by its parts, against the best rates of the device."""
    from launch.config.source import load_config

    loaded = load_config(config, overrides)

    from launch.bench.learner import learner_speed
    from launch.prepare import prepare

    run = prepare(loaded).config
    result = learner_speed(run, seconds, _measuring)
    _report(result, file, config=run.model_dump(mode="json"))


@bench.command("fewshot")
@_of_a_run("glyphs-5way-1shot")
@_seconds(30, "Duration of all measurements; each part is measured at least five times.")
@json_option
def fewshot(config: str, overrides: tuple[str, ...], seconds: float, file: Path | None) -> None:
    """Measure the pieces of a few-shot run: episodes, backbone, core, update, and the whole."""
    run = _fewshot_config(config, overrides)

    from launch.bench.fewshot import fewshot_speed
    from launch.prepare import check_fewshot

    _, data = check_fewshot(run)
    result = fewshot_speed(run, data, seconds, _measuring)
    _report(result, file, config=run.model_dump(mode="json"))


@bench.command("prototypes")
@_of_a_run("glyphs-5way-1shot")
@click.option(
    "--images",
    default=400_000,
    show_default=True,
    type=click.IntRange(1),
    help="Images to learn from.",
)
@click.option(
    "--train-ways",
    default=20,
    show_default=True,
    type=click.IntRange(2),
    help="Classes of an episode in training.",
)
@click.option(
    "--episodes", default=1000, show_default=True, type=click.IntRange(1), help="Of the test."
)
@json_option
def prototypes(
    config: str,
    overrides: tuple[str, ...],
    images: int,
    train_ways: int,
    episodes: int,
    file: Path | None,
) -> None:
    """Train a prototypical network on a few-shot run's data: a yardstick without a memory."""
    run = _fewshot_config(config, overrides)

    from envs.fewshot.images import DataError
    from launch.bench.prototypes import prototype_score

    try:
        result = prototype_score(run, images, train_ways, episodes, notes.print)
    except DataError as error:
        raise UserError(f"config {config!r}: {error}") from None
    _report(result, file, config=run.model_dump(mode="json"))


def _fewshot_config(name: str, overrides: tuple[str, ...]) -> FewShotConfig:
    from launch.config.fewshot import FewShotConfig
    from launch.config.source import expect, load_any_config

    return expect(FewShotConfig, load_any_config(name, overrides), f"config {name!r}")


@bench.command("scale")
@click.option(
    "--workers",
    default="1,2,4,8,16,32,64",
    show_default=True,
    callback=_positive_integers,
    help="Numbers of workers, measured one after the other; a worker is a process of 0.1 GB.",
)
@_seconds(5, "Duration of the measurement of each number of workers.")
@json_option
def scale(workers: list[int], seconds: float, file: Path | None) -> None:
    """Measure what a rollout costs the driver of a run, with simulated workers."""
    from launch.bench.scale import scale as measure

    _report(measure(workers, seconds, _measuring), file)


@bench.command("recall")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]", shell_complete=complete_override)
@click.option(
    "--config",
    "tasks",
    multiple=True,
    metavar="NAME",
    help="Configuration of one task; may be repeated. Default: tmaze and the three of recall.",
)
@click.option(
    "--core", "cores", multiple=True, metavar="NAME", help="May be repeated. Default: all cores."
)
@click.option(
    "--seeds",
    default=3,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Seeds 1 to this number.",
)
@click.option(
    "--processes", type=click.IntRange(1), help="Runs at a time. Default: one for each CPU."
)
def recall(
    folder: Path,
    overrides: tuple[str, ...],
    tasks: tuple[str, ...],
    cores: tuple[str, ...],
    seeds: int,
    processes: int | None,
) -> None:
    """Train every core on tasks that only a memory solves; write curves and a picture to FOLDER.

    KEY=VALUE changes the configuration of every run. Repeat the command to continue after an
    interruption: it keeps the curves that FOLDER holds.
    """
    from rich.progress import Progress

    from agents.cores import CORES
    from launch.flow.resources import cpu_count
    from launch.sweep import recall as measure

    cells = [
        measure.Cell(task, core, seed)
        for task in dict.fromkeys(tasks or measure.TASKS)
        for seed in range(1, seeds + 1)
        for core in dict.fromkeys(cores or CORES)
    ]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with Progress(console=notes, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("training", total=len(cells))

        def advance(cell: measure.Cell, curve: measure.Curve) -> None:
            progress.advance(bar)
            at = measure.solved_at(curve)
            ended = f"solved at {at:,}" if at else f"not solved: {curve.y[-1]:.2f}"
            notes.print(f"{cell.task} {cell.core} seed {cell.seed}: {ended}", highlight=False)

        curves = measure.run_grid(cells, folder, overrides, processes or cpu_count(), advance)
    console.print(measure.result_table(curves))
    with writing(folder / "recall.png"):
        measure.result_picture(curves).savefig(folder / "recall.png", dpi=110)
