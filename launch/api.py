"""Train, continue and evaluate runs from Python; the command line calls the same functions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from launch.config.source import AnyConfig
from launch.config.source import load_any_config as load_config
from launch.driver import drive
from launch.errors import UserError
from launch.job import AnyJob
from launch.machine.facts import process_facts
from launch.paths import is_file
from launch.play.evaluate import Evaluation, evaluate
from launch.play.fewshot import FewShotResult
from launch.play.fewshot_runs import evaluate_fewshot
from launch.play.policies import PolicyResult, evaluate_policies
from launch.prepare import prepare_any
from launch.run.folder import RunFolder
from launch.run.lock import RunLock
from launch.run.saved import Saved
from launch.run.starts import add_start

__all__ = [
    "Evaluation",
    "FewShotResult",
    "PolicyResult",
    "RunFolder",
    "evaluate",
    "evaluate_fewshot",
    "evaluate_policies",
    "load_config",
    "resume",
    "train",
]

log = logging.getLogger(__name__)


def train(
    config: AnyConfig,
    name: str = "run",
    console: Console | None = None,
    auto_resume: bool = False,
    own_process: bool = False,
) -> RunFolder:
    """Train a new run until `total_frames`, and return its folder.

    An interrupt (Ctrl-C, or the stop button of a notebook) finishes the current update, saves and
    returns; `resume` continues.

    Args:
        config: what `load_config` returned.
        name: of the run; without `run_dir` it begins the name of its folder.
        console: where progress is shown; by default the standard output.
        auto_resume: continue the run that `run_dir` holds, if there is one.
        own_process: whether a stop that cannot wait for an update may end this process.

    Raises:
        UserError: if the configuration does not work here, or the folder holds a run already.
        RunError: if the run cannot go on; what it had learnt is saved.
    """
    if auto_resume and config.run_dir is None:
        raise UserError("--auto-resume: needs run_dir, the folder of the run to start or continue")
    if auto_resume and is_file(RunFolder(str(config.run_dir)).config_file):
        run = RunFolder(str(config.run_dir))
        saved = run.newest_checkpoint() if run.has_checkpoint else None
        return _go_on(run, config, saved, console, own_process)
    run = RunFolder.new(config, name)
    job = prepare_any(config, run)
    run.create(job.config)
    with RunLock(run.path) as lock:
        lock.sign()
        _drive(job, run, None, console, own_process)
    return run


def resume(
    path: str | Path,
    overrides: Sequence[str] = (),
    console: Console | None = None,
    own_process: bool = False,
) -> RunFolder:
    """Continue a run from its newest checkpoint, and return its folder.

    Args:
        path: of the run's folder.
        overrides: `key=value`, such as `total_frames=2_000_000`.
        console: as in `train`.
        own_process: as in `train`.

    Raises:
        UserError: as in `train`; if there is no checkpoint, or an override would make it another
            run.
        RunError: as in `train`.
    """
    run, config = RunFolder.open_any(path, overrides)
    return _go_on(run, config, run.newest_checkpoint(), console, own_process)


def _go_on(
    run: RunFolder,
    config: AnyConfig,
    saved: Saved | None,
    console: Console | None,
    own_process: bool,
) -> RunFolder:
    with RunLock(run.path) as lock:
        job = prepare_any(config, run, saved)
        if saved and saved.frames >= config.total_frames:
            log.warning("nothing to do: the run has its %d frames", config.total_frames)
            return run
        lock.sign()
        run.write_config(job.config)
        _drive(job, run, saved, console, own_process)
    return run


def _drive(
    job: AnyJob, run: RunFolder, saved: Saved | None, console: Console | None, own_process: bool
) -> None:
    console = console or Console(markup=False, emoji=False)
    console.print(f"run folder: {run.path}", highlight=False, soft_wrap=True)
    add_start(run.path, saved.frames if saved else 0, process_facts())
    drive(job, run, console, saved, own_process)
    console.print(f"run folder: {run.path}", highlight=False, soft_wrap=True)
