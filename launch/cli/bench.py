"""The commands `srwm bench ...`."""

from __future__ import annotations

from pathlib import Path

import click

from launch.cli.terminal import console, help_without_command, json_option, notes, write_json
from launch.errors import UserError


def _positive_integers(_: click.Context, option: click.Parameter, text: str) -> list[int]:
    """Read integers between commas."""
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise UserError(f"{option.opts[0]} {text!r}: expected positive integers such as 1,8,64")
    return numbers


@click.group(invoke_without_command=True)
@click.pass_context
def bench(context: click.Context) -> None:
    """Measure how fast it is here, and how well the cores remember."""
    help_without_command(context)


@bench.command("e2e")
@click.argument("config", default="quickstart")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--seconds", default=60.0, type=click.FloatRange(1), help="Of the whole at work.")
@json_option
def end_to_end(config: str, overrides: tuple[str, ...], seconds: float, file: Path | None) -> None:
    """Measure environments, acting, staging, learning alone, then all of it together."""
    from launch.bench import e2e as measure
    from launch.config.source import load_config
    from launch.prepare import prepare

    run = prepare(load_config(config, overrides)).config
    result = measure.end_to_end(run, seconds, lambda name: notes.print(f"measuring {name}"))
    console.print(measure.result_table(result))
    console.print(measure.verdict(result), soft_wrap=True, highlight=False)
    write_json(file, result.as_dict())


@bench.command("core")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@json_option
def core(device: str, file: Path | None) -> None:
    """Measure every core and its kernels, against plain PyTorch and the LSTM."""
    from launch.bench.core import core_speed
    from launch.bench.core_report import result_tables
    from launch.bench.problems import PAPER
    from launch.bench.targets import verdict

    problem = PAPER[device]
    result = core_speed(device, problem, lambda name: notes.print(f"measuring {name}"))
    for table in result_tables(result):
        console.print(table)
        console.print()
    console.print(verdict(result.figures), soft_wrap=True, highlight=False)
    write_json(file, result.as_dict(problem))


@bench.command("learner")
@click.argument("config", default="paper-easy6")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--seconds", default=30.0, type=click.FloatRange(1), help="Of updates.")
@json_option
def learner(config: str, overrides: tuple[str, ...], seconds: float, file: Path | None) -> None:
    """Measure a learner update by its parts, against what the device does at its best."""
    from launch.bench import learner as measure
    from launch.config.source import load_config
    from launch.prepare import prepare

    run = prepare(load_config(config, overrides)).config
    result = measure.learner_speed(run, seconds, lambda name: notes.print(f"measuring {name}"))
    for table in measure.result_tables(result):
        console.print(table)
        console.print()
    console.print(measure.verdict(result), soft_wrap=True, highlight=False)
    write_json(file, result.as_dict(run))


@bench.command("scale")
@click.option(
    "--workers",
    default="1,2,4,8,16,32,64",
    show_default=True,
    callback=_positive_integers,
    help="How many there are, each number in its turn; each is a process of 0.1 GB.",
)
@click.option("--seconds", default=5.0, type=click.FloatRange(1), help="Of each number of workers.")
@click.option("--whole", is_flag=True, help="Copy whole rollouts, not one environment's frames.")
@json_option
def scale(workers: list[int], seconds: float, whole: bool, file: Path | None) -> None:
    """Measure what a rollout costs the driver of a run, with simulated workers."""
    from launch.bench import scale as measure
    from launch.bench.targets import verdict

    result = measure.scale(workers, seconds, whole, lambda name: notes.print(f"measuring {name}"))
    console.print(measure.result_table(result))
    console.print(verdict(result.figures), soft_wrap=True, highlight=False)
    write_json(file, result.as_dict())


@bench.command("recall")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option(
    "--config",
    "tasks",
    multiple=True,
    metavar="NAME",
    help="Configuration of one task, may be repeated; by default tmaze and the three of recall.",
)
@click.option(
    "--core", "cores", multiple=True, metavar="NAME", help="May be repeated; by default all cores."
)
@click.option(
    "--seeds", default=3, show_default=True, type=click.IntRange(1), help="Seeds 1 to this number."
)
@click.option(
    "--processes", type=click.IntRange(1), help="Runs at a time; by default one for each CPU."
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

    KEY=VALUE changes the configuration of every run. Repeat the command to go on after an
    interruption: a curve that is there is not made again.
    """
    from rich.progress import Progress

    from agents.cores import CORES
    from launch.bench import recall as measure
    from launch.flow.resources import cpu_count

    cells = [
        measure.Cell(task, core, seed)
        for task in dict.fromkeys(tasks or measure.TASKS)
        for seed in range(1, seeds + 1)
        for core in dict.fromkeys(cores or CORES)
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None
    with Progress(console=notes, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("training", total=len(cells))

        def advance(cell: measure.Cell, curve: measure.Curve) -> None:
            progress.advance(bar)
            at = measure.solved_at(curve)
            ended = f"solved at {at:,}" if at else f"not solved: {curve.y[-1]:.2f}"
            notes.print(f"{cell.task} {cell.core} seed {cell.seed}: {ended}", highlight=False)

        curves = measure.run_grid(cells, folder, overrides, processes or cpu_count(), advance)
    console.print(measure.result_table(curves))
    measure.result_picture(curves).savefig(folder / "recall.png", dpi=110)
