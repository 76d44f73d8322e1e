"""The command line: `srwm train`, `srwm eval`, `srwm trace`, `srwm bench`, `srwm doctor`."""

from __future__ import annotations

import json
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.logging import RichHandler

from launch.errors import RunError, UserError

if TYPE_CHECKING:
    from launch.config import RunConfig

console = Console()
notes = Console(stderr=True)


def _in_a_folder(_: click.Context, option: click.Parameter, file: Path | None) -> Path | None:
    """Refuse before the work what could not be written after it."""
    if file and not (file.parent.is_dir() and os.access(file.parent, os.W_OK)):
        raise UserError(
            f"{option.opts[0]} {file}: {file.parent} is not a folder that can be written to"
        )
    return file


def _positive_integers(_: click.Context, option: click.Parameter, text: str) -> list[int]:
    """Read integers between commas."""
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise UserError(f"{option.opts[0]} {text!r}: expected positive integers such as 1,8,64")
    return numbers


json_option = click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_in_a_folder,
    help="Write the figures here too.",
)


def _help_without_command(context: click.Context) -> None:
    if not context.invoked_subcommand:
        click.echo(context.get_help())


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def srwm(context: click.Context) -> None:
    """Train agents whose memory rewrites itself."""
    _help_without_command(context)


@srwm.command()
@click.argument("arguments", nargs=-1, metavar="[CONFIG] [KEY=VALUE ...]")
@click.option("--resume", metavar="RUN", help="Continue the run in this folder.")
def train(arguments: tuple[str, ...], resume: str | None) -> None:
    """Train. CONFIG is a path or the name of a file in configs/; KEY=VALUE sets a dotted key.

    With --resume, CONFIG is the run's own.
    """
    from launch.config import load_config
    from launch.dashboard import memory_names
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
        _check_cluster(config)
        run.update_config(config)
    else:
        if len(names) != 1:
            raise UserError(
                f"expected one CONFIG, found {len(names)}: srwm train CONFIG [KEY=VALUE ...]"
            )
        config, saved = load_config(names[0], overrides), None
        agent = check(config)
        _check_cluster(config)
        run = RunFolder.create(config, names[0])
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
        result = {
            "run": run,
            "frames": frames,
            "seed": seed,
            "scores": [score._asdict() for score in scores],
            "mean_normalised": means,
        }
        file.write_text(json.dumps(result, indent=1) + "\n")


@srwm.command()
@click.argument("run")
@click.option("--task", required=True, metavar="GAME", help="One that the run trains on.")
@click.option(
    "--out",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_in_a_folder,
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


@srwm.group(invoke_without_command=True)
@click.pass_context
def bench(context: click.Context) -> None:
    """Measure how fast it is here."""
    _help_without_command(context)


@bench.command("e2e")
@click.argument("config", default="quickstart")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--seconds", default=60.0, type=click.FloatRange(1), help="Of the whole at work.")
@json_option
def end_to_end(config: str, overrides: tuple[str, ...], seconds: float, file: Path | None) -> None:
    """Measure acting, learning and environments alone, then all of it together."""
    from launch.bench import e2e as measure
    from launch.config import load_config
    from launch.train import check

    run = load_config(config, overrides)
    check(run)
    _check_cluster(run)
    result = measure.end_to_end(run, seconds, lambda name: notes.print(f"measuring {name}"))
    console.print(measure.result_table(result))
    console.print(measure.verdict(result), soft_wrap=True, highlight=False)
    if file:
        file.write_text(json.dumps(result.as_dict(run), indent=1) + "\n")


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
    if file:
        file.write_text(json.dumps(result.as_dict(problem), indent=1) + "\n")


@bench.command("learner")
@click.argument("config", default="paper-easy6")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--seconds", default=30.0, type=click.FloatRange(1), help="Of updates.")
@json_option
def learner(config: str, overrides: tuple[str, ...], seconds: float, file: Path | None) -> None:
    """Measure a learner update by its parts, against what the device does at its best."""
    from launch.bench import learner as measure
    from launch.config import load_config
    from launch.train import check

    run = load_config(config, overrides)
    check(run)
    result = measure.learner_speed(run, seconds, lambda name: notes.print(f"measuring {name}"))
    for table in measure.result_tables(result):
        console.print(table)
        console.print()
    console.print(measure.verdict(result), soft_wrap=True, highlight=False)
    if file:
        file.write_text(json.dumps(result.as_dict(run), indent=1) + "\n")


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
    if file:
        file.write_text(json.dumps(result.as_dict(), indent=1) + "\n")


@srwm.command()
@click.argument("config", default="quickstart")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--seconds", default=60.0, type=click.FloatRange(1), help="Of the trial run.")
def doctor(config: str, overrides: tuple[str, ...], seconds: float) -> None:
    """Look for what is missing here, try a run, and foretell how long CONFIG takes."""
    from launch.bench.e2e import whole
    from launch.config import load_config
    from launch.doctor import examine, findings_table, forecast
    from launch.train import check

    run = load_config(config, overrides)
    findings = list(examine())
    console.print(findings_table(findings))
    missing = [finding.name for finding in findings if finding.remedy and finding.needed]
    if missing:
        raise RunError(f"{', '.join(missing)}: nothing runs without")
    check(run)
    _check_cluster(run)
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


def _check_cluster(config: RunConfig) -> None:
    if config.launch.mode == "ray" and config.launch.address:
        from launch.cluster import check_address  # Ray is imported only where it is used

        check_address(config.launch.address)
