"""`srwm bench recall`: train every core, over several seeds, on tasks that only a memory solves."""

from __future__ import annotations

import json
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from rich.table import Table

from launch.config.schema import RunConfig
from launch.config.source import load_config
from launch.errors import RunError, UserError
from launch.flow.local import LocalFlow
from launch.machine.auto import resolve_auto
from launch.report.curves import Curve, Panel, draw
from launch.report.files import write_json
from launch.report.table import table
from learners import TrainingDivergedError

TASKS = ("tmaze", "recall", "recall-30", "recall-100")
"""The configurations that are run by default."""

SOLVED = 0.9
"""A task counts as solved when the mean return of the last episodes first reaches this."""

EPISODES = 200  # that a point of a curve is the mean of
PERFECT = 0.98  # a run that stays above this for `STEADY` points ends early
STEADY = 10


class Cell(NamedTuple):
    """One run of the grid."""

    task: str  # name of the configuration, or its file
    core: str
    seed: int

    def file(self, folder: Path) -> Path:
        """Return where its curve is kept."""
        return folder / f"{Path(self.task).stem}_{self.core}_{self.seed}.json"


def run_grid(
    cells: Sequence[Cell],
    folder: Path,
    overrides: Sequence[str],
    processes: int,
    advance: Callable[[Cell, Curve], None],
) -> dict[Cell, Curve]:
    """Train every cell that `folder` has no curve of yet, several at once, one thread each.

    Args:
        cells: what is wanted.
        folder: where curves are kept, and found when the command is repeated.
        overrides: `key=value`, for all runs.
        processes: runs at a time.
        advance: called after every run, and for each curve that is there already.

    Raises:
        UserError: if a cell cannot be run, or a curve was made with other settings.
        RunError: at the end, if runs diverged; the curves of all others are kept.
    """
    configs = {cell: _config(cell, overrides) for cell in cells}  # what is wrong is told at once
    found: dict[Cell, Curve] = {}
    failed: list[str] = []
    for cell, config in configs.items():
        if cell.file(folder).exists():
            found[cell] = _read(cell.file(folder), config)
            advance(cell, found[cell])
    pool = ProcessPoolExecutor(processes, get_context("spawn"))
    try:
        waiting = {pool.submit(_train, configs[cell]): cell for cell in cells if cell not in found}
        for future in as_completed(waiting):
            cell = waiting[future]
            try:
                found[cell] = future.result()
            except TrainingDivergedError as error:
                failed.append(f"{cell.task} {cell.core} seed {cell.seed}: {error}")
                continue
            tree = {"config": configs[cell].model_dump(mode="json"), **found[cell]._asdict()}
            write_json(cell.file(folder), tree)
            advance(cell, found[cell])
    except BaseException:
        for process in active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if failed:
        raise RunError("; ".join(failed))
    return {cell: found[cell] for cell in cells}


def result_table(curves: dict[Cell, Curve]) -> Table:
    """Return a row for each task and core: when each seed solved it, and where they ended."""
    rows = []
    for (task, core), group in _grouped(curves).items():
        solved = ["-" if at is None else f"{at:,}" for at in map(solved_at, group)]
        ended = statistics.fmean(curve.y[-1] for curve in group)
        rows.append((task, core, len(group), ", ".join(solved), ended))
    columns = [("task", ""), ("core", ""), ("seeds", "d"), (f"frames to {SOLVED}", "s")]
    return table([*columns, ("mean return at the end", ".2f")], rows)


def result_picture(curves: dict[Cell, Curve]) -> Figure:
    """Return success against frames: a chart for each task, a line for each core."""
    panels: dict[str, dict[str, list[Curve]]] = {}
    for (task, core), group in _grouped(curves).items():
        panels.setdefault(task, {})[core] = group
    return draw(
        [Panel(task, groups) for task, groups in panels.items()],
        "frames",
        f"mean return of the last {EPISODES} episodes",
    )


def solved_at(curve: Curve) -> int | None:
    """Return the frames at which a task was first solved, None if it was not."""
    return next((int(x) for x, y in zip(*curve, strict=True) if y >= SOLVED), None)


def _grouped(curves: dict[Cell, Curve]) -> dict[tuple[str, str], list[Curve]]:
    """Return the runs of each task and core, in the order of their seeds."""
    groups: dict[tuple[str, str], list[Curve]] = {}
    for cell in sorted(curves, key=lambda cell: cell.seed):
        groups.setdefault((cell.task, cell.core), []).append(curves[cell])
    return groups


def _config(cell: Cell, overrides: Sequence[str]) -> RunConfig:
    own = [f"agent.core={cell.core}", f"seed={cell.seed}", "launch.mode=local"]
    config = resolve_auto(load_config(cell.task, [*overrides, *own, "launch.learner_threads=1"]))
    if len(config.envs.tasks) != 1:
        raise UserError(f"config {cell.task!r}: expected one task, found {len(config.envs.tasks)}")
    return config


def _read(file: Path, config: RunConfig) -> Curve:
    try:
        tree = json.loads(file.read_text())
        made_with = tree.pop("config")
        curve = Curve(**tree)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: is not a curve, remove it: {error}") from None
    if made_with != config.model_dump(mode="json"):
        raise UserError(f"{file}: was made with other settings; name another folder, or remove it")
    return curve


def _train(config: RunConfig) -> Curve:
    """Train without a run folder, to the last frame or until the task is solved for good."""
    returns: deque[float] = deque(maxlen=EPISODES)
    frames = due = 0
    frames_at: list[float] = []
    means: list[float] = []
    with closing(LocalFlow(config)) as flow:
        while frames < config.total_frames and not _is_solved(means):
            report = flow.update()
            frames = report.frames
            returns.extend(e.ret for rollout in report.rollouts for e in rollout.episodes)
            ended = frames >= config.total_frames and bool(returns)
            if ended or (len(returns) == EPISODES and frames >= due):
                due = frames + config.log_every_frames
                frames_at.append(frames)
                means.append(statistics.fmean(returns))
    if not means:
        raise UserError(f"total_frames {config.total_frames}: too few for one episode")
    return Curve(frames_at, means)


def _is_solved(means: Sequence[float]) -> bool:
    return len(means) >= STEADY and min(means[-STEADY:]) >= PERFECT
