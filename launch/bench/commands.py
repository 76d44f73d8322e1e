"""The commands `srwm bench ...`."""

from __future__ import annotations

from pathlib import Path

import click

from launch.errors import UserError
from launch.terminal import (
    check_cluster,
    console,
    help_without_command,
    json_option,
    notes,
    write_json,
)


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
    """Measure how fast it is here."""
    help_without_command(context)


@bench.command("e2e")
@click.argument("config", default="quickstart")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--seconds", default=60.0, type=click.FloatRange(1), help="Of the whole at work.")
@json_option
def end_to_end(config: str, overrides: tuple[str, ...], seconds: float, file: Path | None) -> None:
    """Measure environments, acting, staging, learning alone, then all of it together."""
    from launch.bench import e2e as measure
    from launch.config import load_config
    from launch.layout import settle
    from launch.train import check

    run = load_config(config, overrides)
    check(run)
    check_cluster(run)
    run = settle(run)
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
    from launch.bench.figures import verdict
    from launch.bench.problems import PAPER

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
    from launch.config import load_config
    from launch.layout import settle
    from launch.train import check

    run = load_config(config, overrides)
    check(run)
    run = settle(run)
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
    from launch.bench.figures import verdict

    result = measure.scale(workers, seconds, whole, lambda name: notes.print(f"measuring {name}"))
    console.print(measure.result_table(result))
    console.print(verdict(result.figures), soft_wrap=True, highlight=False)
    write_json(file, result.as_dict())
