"""`srwm trace`: draw how an agent rewrites its own weights in one episode."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from launch.cli.terminal import console, file_in_a_folder, notes
from launch.errors import UserError


@click.command()
@click.argument("run")
@click.option(
    "--task", required=True, metavar="GAME", help="The game to play; one that the run trains on."
)
@click.option(
    "--out",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=file_in_a_folder,
    help="FILE.png becomes the picture, FILE.mp4 the video; either ending may be given.",
)
@click.option(
    "--split", default="train", show_default=True, metavar="NAME", help="Split of levels to play."
)
@click.option(
    "--seed", default=0, type=click.IntRange(0), show_default=True, help="Seed of the environment."
)
def trace(run: str, task: str, file: Path, split: str, seed: int) -> None:
    """Show how the agent of a RUN folder rewrites its own weights, in one episode of a game.

    The picture and the video show what the agent saw and got, and the size of each head's update of
    its own weights at every step. Without images to see, there is a picture only.
    """
    import torch
    from rich.progress import Progress

    from envs import split_config
    from launch.play.trace import record, task_config
    from launch.prepare import check
    from launch.report.picture import has_frames, picture
    from launch.report.video import film, write_video
    from launch.run.folder import RunFolder
    from launch.run.memory_charts import memory_names

    folder, config = RunFolder.open(run)
    try:
        envs = task_config(task, split_config(split, config.envs))
    except ValueError as error:
        raise UserError(str(error)) from None
    saved = folder.newest_checkpoint()
    agent = check(config, saved).eval()
    core, frames = config.agent.core, saved.frames
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
