"""`srwm record`: film an agent that plays."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from launch.cli.terminal import (
    MAX_SEED,
    checkpoint_option,
    console,
    file_in_a_folder,
    notes,
    writing,
)
from launch.errors import UserError

VIDEOS = (".mp4", ".gif")


def _video_in_a_folder(context: click.Context, option: click.Parameter, file: Path) -> Path | None:
    """Refuse a file that cannot be written, and a kind of video that is not made."""
    if file.suffix not in VIDEOS:
        raise UserError(f"{option.opts[0]} {file}: the name must end in {' or '.join(VIDEOS)}")
    return file_in_a_folder(context, option, file)


@click.command()
@click.argument("run")
@click.option("--task", metavar="GAME", required=True, help="One that the run trains on.")
@click.option(
    "--out",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_video_in_a_folder,
    help="The video, .mp4 or .gif; a GIF is smaller and shows every second step.",
)
@click.option(
    "--level",
    metavar="SEED",
    type=click.IntRange(0, MAX_SEED - 1),
    help="The level of ProcGen to play. By default one of the training levels, drawn by --seed.",
)
@checkpoint_option("the newest")
@click.option(
    "--seed",
    default=0,
    type=click.IntRange(0, MAX_SEED),
    show_default=True,
    help="Seed of the environment.",
)
@click.option(
    "--steps",
    default=1000,
    type=click.IntRange(1, 10_000),
    show_default=True,
    help="Record at most so many steps of the episode.",
)
@click.option(
    "--sample",
    is_flag=True,
    help="Draw each action with its probability, as in training, and not the likeliest.",
)
def record(
    run: str,
    task: str,
    file: Path,
    level: int | None,
    checkpoint: str | None,
    seed: int,
    steps: int,
    sample: bool,
) -> None:
    """Film one episode of the agent of a RUN folder.

    Beside the game stand the agent's own view, its value estimate and the probability of each
    action; below runs how strongly each head rewrites its own weights, where the core has such.
    """
    import torch
    from rich.progress import Progress

    from agents import greedy, sampler
    from launch.play.record import at_level, is_trained_on, record_screen
    from launch.play.trace import task_config
    from launch.prepare import check
    from launch.report.gif import write_gif
    from launch.report.overlay import draw_recording
    from launch.report.video import write_video
    from launch.run.folder import RunFolder

    folder, config = RunFolder.open(run)
    try:
        envs = task_config(task, config.envs)
        envs = envs if level is None else at_level(envs, level)
    except ValueError as error:
        raise UserError(str(error)) from None
    saved = folder.find_checkpoint(checkpoint or "newest")
    agent = check(config, saved).eval()
    # The steps of one environment are too small to share out: threads would wait for each other.
    torch.set_num_threads(1)
    with Progress(console=notes, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("playing", total=None)
        try:
            rule = sampler(torch.Generator().manual_seed(seed)) if sample else greedy
            advance = partial(progress.advance, bar)
            recording = record_screen(agent, envs, seed, steps, rule, advance)
        except ValueError as error:
            raise UserError(str(error)) from None
        way = "sampled" if sample else "greedy"
        earned, count = recording.trace.reward.sum(), len(recording.trace.reward)
        remarks = [f"{config.agent.core} after {saved.frames:,} frames, {way}"]
        if recording.level is not None:
            known = "" if is_trained_on(config.envs, recording.level) else "not "
            remarks.append(f"level {recording.level} ({known}trained on)")
        bar = progress.add_task("filming", total=count)
        write = write_gif if file.suffix == ".gif" else write_video
        with writing(file):
            write(draw_recording(recording, task, remarks), file, partial(progress.advance, bar))
    first = "the first " if count == steps else ""
    played = "" if recording.level is None else f" on level {recording.level}"
    console.print(
        f"{task}: return {earned:g} in {first}{count} steps{played}: {file}",
        highlight=False,
        soft_wrap=True,
    )
