"""`srwm train`: train a run, or continue one."""

from __future__ import annotations

import logging

import click

from launch.cli.terminal import console
from launch.errors import UserError


@click.command()
@click.argument("arguments", nargs=-1, metavar="[CONFIG] [KEY=VALUE ...]")
@click.option("--resume", metavar="RUN", help="Continue the run in this folder.")
def train(arguments: tuple[str, ...], resume: str | None) -> None:
    """Train. CONFIG is a path or the name of a file in configs/; KEY=VALUE sets a dotted key.

    With --resume, CONFIG is the run's own.
    """
    from launch.config.source import load_config
    from launch.driver import train as run_training
    from launch.prepare import check, prepare
    from launch.run.folder import RunFolder
    from launch.run.memory_charts import memory_names

    names = [argument for argument in arguments if "=" not in argument]
    overrides = [argument for argument in arguments if "=" in argument]
    if resume:
        if names:
            raise UserError(f"{names[0]!r}: --resume takes its configuration from the run")
        run, loaded = RunFolder.open(resume, overrides)
        saved = run.newest_checkpoint()
        if saved["learner"]["frames"] >= loaded.total_frames:
            check(loaded, saved)
            logging.warning("nothing to do: the run has its %d frames", loaded.total_frames)
            return
    else:
        if len(names) != 1:
            raise UserError(
                f"expected one CONFIG, found {len(names)}: srwm train CONFIG [KEY=VALUE ...]"
            )
        loaded, saved = load_config(names[0], overrides), None
        run = RunFolder.new(loaded, names[0])
    ready = prepare(loaded, run, saved)
    if saved:
        run.write_config(ready.config)
    else:
        run.create(ready.config)
    console.print(f"run folder: {run.path}", highlight=False, soft_wrap=True)
    memory = memory_names(ready.agent, loaded.envs)
    run_training(ready.config, run, console, memory, ready.saved)
    console.print(f"run folder: {run.path}", highlight=False, soft_wrap=True)
