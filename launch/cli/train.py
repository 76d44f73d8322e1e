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
    from launch.machine.auto import settle
    from launch.prepare import check, check_cluster
    from launch.run.folder import RunFolder
    from launch.run.memory_charts import memory_names
    from launch.train import train as run_training

    names = [argument for argument in arguments if "=" not in argument]
    overrides = [argument for argument in arguments if "=" in argument]
    if resume:
        if names:
            raise UserError(f"{names[0]!r}: --resume takes its configuration from the run")
        run, config = RunFolder.open(resume, overrides)
        saved = run.newest_checkpoint()
        agent = check(config, saved)
        if saved["learner"]["frames"] >= config.total_frames:
            logging.warning("nothing to do: the run has its %d frames", config.total_frames)
            return
        check_cluster(config)
        run.refuse_unwritable()
        config = settle(config)
        run.write_config(config)
    else:
        if len(names) != 1:
            raise UserError(
                f"expected one CONFIG, found {len(names)}: srwm train CONFIG [KEY=VALUE ...]"
            )
        config, saved = load_config(names[0], overrides), None
        run = RunFolder.new(config, names[0])
        agent = check(config)
        check_cluster(config)
        config = settle(config)
        run.create(config)
    console.print(f"run folder: {run.path}", highlight=False, soft_wrap=True)
    run_training(config, run, console, memory_names(agent, config.envs), saved)
    console.print(f"run folder: {run.path}", highlight=False, soft_wrap=True)
