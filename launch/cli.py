"""The command line: `srwm train`, `srwm eval`, `srwm trace`, `srwm bench`, `srwm doctor`."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.logging import RichHandler

from launch.bench.commands import bench
from launch.errors import RunError, UserError
from launch.terminal import (
    check_cluster,
    console,
    file_in_a_folder,
    help_without_command,
    json_option,
    notes,
    write_json,
)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def srwm(context: click.Context) -> None:
    """Train agents whose memory rewrites itself."""
    help_without_command(context)


@srwm.command()
@click.argument("arguments", nargs=-1, metavar="[CONFIG] [KEY=VALUE ...]")
@click.option("--resume", metavar="RUN", help="Continue the run in this folder.")
def train(arguments: tuple[str, ...], resume: str | None) -> None:
    """Train. CONFIG is a path or the name of a file in configs/; KEY=VALUE sets a dotted key.

    With --resume, CONFIG is the run's own.
    """
    from launch.config import load_config
    from launch.dashboard import memory_names
    from launch.layout import settle
    from launch.run import RunFolder
    from launch.train import check
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


@srwm.command("eval")
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
    from launch.evaluate import evaluate as play
    from launch.evaluate import mean_normalised, score_table
    from launch.run import RunFolder
    from launch.train import check

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


@srwm.command()
@click.argument("run")
@click.option("--task", required=True, metavar="GAME", help="One that the run trains on.")
@click.option(
    "--out",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=file_in_a_folder,
    help="FILE.png becomes the picture, FILE.mp4 the video; either ending may be given.",
)
@click.option("--split", default="train", show_default=True, metavar="NAME", help="Of the levels.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Of the environment.")
def trace(run: str, task: str, file: Path, split: str, seed: int) -> None:
    """Show how the agent of a RUN folder rewrites its own weights, in one episode of a game.

    The picture and the video show what the agent saw and got, and the size of each head's update of
    its own weights at every step. Without images to see, there is a picture only.
    """
    import torch
    from rich.progress import Progress

    from envs import split_config
    from launch.dashboard import memory_names
    from launch.picture import film, has_frames, picture, write_video
    from launch.run import RunFolder
    from launch.trace import record, task_config
    from launch.train import check

    folder, config = RunFolder.open(run)
    try:
        envs = task_config(task, split_config(split, config.envs))
    except ValueError as error:
        raise UserError(str(error)) from None
    saved = folder.newest_checkpoint()
    agent = check(config, saved).eval()
    core, frames = config.agent.core, saved["learner"]["frames"]
    if not memory_names(agent, config.envs):
        raise UserError(f"agent.core {core!r} has no fast weights: there is nothing to trace")
    # The steps of one environment are too small to share out: threads would wait for each other.
    torch.set_num_threads(1)
    stem = file.with_suffix("") if file.suffix in (".png", ".mp4") else file
    png, mp4 = Path(f"{stem}.png"), Path(f"{stem}.mp4")
    with Progress(console=notes, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("playing", total=None)
        episode = record(agent, envs, seed, partial(progress.advance, bar))
        steps = len(episode.reward)
        title = f"{task}: return {episode.reward.sum():g} in {steps} steps"
        note = f"core {core} after {frames:,} frames, greedy; levels of split {split}, seed {seed}"
        try:
            picture(episode, title, note).savefig(png)
            if has_frames(episode):
                bar = progress.add_task("filming", total=steps)
                write_video(film(episode, title, note), mp4, partial(progress.advance, bar))
        except OSError as error:
            raise UserError(f"--out {file}: cannot be written: {error.strerror}") from None
    written = f"{png}, {mp4}" if has_frames(episode) else f"{png} (no images to film)"
    console.print(f"{title}: {written}", highlight=False, soft_wrap=True)


srwm.add_command(bench)


@srwm.command()
@click.argument("config", default="quickstart")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--seconds", default=60.0, type=click.FloatRange(1), help="Of the trial run.")
def doctor(config: str, overrides: tuple[str, ...], seconds: float) -> None:
    """Look for what is missing here, try a run, and foretell how long CONFIG takes."""
    from launch.bench.e2e import whole
    from launch.config import load_config
    from launch.doctor import examine, findings_table, forecast
    from launch.layout import settle
    from launch.train import check

    run = load_config(config, overrides)
    findings = list(examine())
    console.print(findings_table(findings))
    missing = [finding.name for finding in findings if finding.remedy and finding.needed]
    if missing:
        raise RunError(f"{', '.join(missing)}: nothing runs without")
    check(run)
    check_cluster(run)
    run = settle(run)
    notes.print(f"trying {config} for {seconds:.0f} s")
    frames_per_second, memory = whole(run, seconds)
    console.print(forecast(run.total_frames, frames_per_second), highlight=False)
    console.print(f"memory of all processes: {memory:.1f} GB", highlight=False)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; the exit status is 2 for bad input, with one line on stderr."""
    # Before torch is imported. A thread that spins at a barrier keeps the very thread that it waits
    # for off the core wherever others use the machine too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Environments of the user's own are found where the command is given, as with `python -m`.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        # On a terminal by the console of the live display, which then keeps below the lines.
        handlers=[
            RichHandler(
                console=console if console.is_terminal else notes, show_time=False, show_path=False
            )
        ],
    )
    status: Any = 0
    try:
        status = srwm.main(arguments, prog_name="srwm", standalone_mode=False)
    except click.exceptions.Abort:
        status = 130
    except KeyboardInterrupt:
        status = 130
    except UserError as error:
        status = _end(2, str(error))
    except RunError as error:
        status = _end(1, str(error))
    except click.ClickException as error:
        status = _end(2, error.format_message())
    sys.exit(status)


def _end(status: int, message: str) -> int:
    print("srwm: " + " ".join(message.split()), file=sys.stderr)
    return status
