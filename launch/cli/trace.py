"""`srwm trace`: draw how a network rewrites its own weights in one episode."""

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


@click.command()
@click.argument("run")
@click.option(
    "--task", metavar="GAME", help="The game to play, one that the run trains on; not few-shot."
)
@click.option(
    "--out",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=file_in_a_folder,
    help="FILE.png becomes the picture, FILE.mp4 the video of a game; either ending may be given.",
)
@click.option(
    "--split",
    metavar="NAME",
    help="Levels to play (by default train), or classes of a few-shot run (test).",
)
@checkpoint_option("the newest")
@click.option(
    "--seed",
    default=0,
    type=click.IntRange(0, MAX_SEED),
    show_default=True,
    help="Seed of the environment, or of the few-shot episode.",
)
def trace(
    run: str, task: str | None, file: Path, split: str | None, checkpoint: str | None, seed: int
) -> None:
    """Show how the network of a RUN folder rewrites its own weights, in one episode.

    Of a game, a picture and a video show what the agent saw and got, and the size of each head's
    update of its own weights at every step. Without images to see, there is a picture only. Of a
    few-shot run, a picture shows the images, labels and answers, and the same updates.
    """
    from launch.config.fewshot import FewShotConfig
    from launch.run.folder import RunFolder

    _, config = RunFolder.open_any(run)
    stem = file.with_suffix("") if file.suffix in (".png", ".mp4") else file
    if isinstance(config, FewShotConfig):
        if task is not None:
            raise UserError(f"--task {task}: a few-shot run has no games: leave it out")
        _trace_fewshot(run, stem, split or "test", checkpoint or "newest", seed)
    elif task is None:
        raise UserError(f"--task is missing: one of {', '.join(config.envs.tasks)}")
    else:
        _trace_policy(run, task, stem, split or "train", checkpoint or "newest", seed)


def _trace_fewshot(run: str, stem: Path, split: str, checkpoint: str, seed: int) -> None:
    from launch.play.fewshot_trace import trace_run
    from launch.report.fewshot_trace import picture

    episode, note = trace_run(run, split, checkpoint, seed)
    right = episode.right[episode.scored]
    title = f"{right.sum()} of {len(right)} answers are right"
    png = Path(f"{stem}.png")
    with writing(png):
        picture(episode, title, note).savefig(png)
    console.print(f"{title}: {png}", highlight=False, soft_wrap=True)


def _trace_policy(run: str, task: str, stem: Path, split: str, checkpoint: str, seed: int) -> None:
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
    saved = folder.find_checkpoint(checkpoint)
    agent = check(config, saved).eval()
    core, frames = config.agent.core, saved.frames
    if not memory_names(agent, config.envs):
        raise UserError(f"agent.core {core!r} has no fast weights: there is nothing to trace")
    # The steps of one environment are too small to share out: threads would wait for each other.
    torch.set_num_threads(1)
    png, mp4 = Path(f"{stem}.png"), Path(f"{stem}.mp4")
    with Progress(console=notes, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("playing", total=None)
        episode = record(agent, envs, seed, partial(progress.advance, bar))
        steps = len(episode.reward)
        title = f"{task}: return {episode.reward.sum():g} in {steps} steps"
        note = f"core {core} after {frames:,} frames, greedy; levels of split {split}, seed {seed}"
        with writing(stem):
            picture(episode, title, note).savefig(png)
            if has_frames(episode):
                bar = progress.add_task("filming", total=steps)
                write_video(film(episode, title, note), mp4, partial(progress.advance, bar))
    written = f"{png}, {mp4}" if has_frames(episode) else f"{png} (no images to film)"
    console.print(f"{title}: {written}", highlight=False, soft_wrap=True)
