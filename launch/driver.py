"""The driver of a run: update, record, save, until the frames are reached or someone stops it."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from types import FrameType

from rich.console import Console

from launch.config.schema import RunConfig
from launch.config.source import dump_config
from launch.errors import RunError
from launch.flow.base import Flow
from launch.placement import make_flow
from launch.run.dashboard import Dashboard
from launch.run.display import make_display
from launch.run.folder import RunFolder
from launch.run.memory_watch import MemoryWatch
from launch.run.metrics import Metrics
from launch.run.policy import PolicyMetrics, policy_view
from launch.run.saved import Saved
from learners import TrainingDivergedError

log = logging.getLogger(__name__)


def train(
    config: RunConfig,
    run: RunFolder,
    console: Console,
    memory: Sequence[str],
    saved: Saved | None = None,
) -> None:
    """Train until `total_frames`, from a checkpoint if one is given.

    SIGINT and SIGTERM finish the update at hand, save, and return.

    Args:
        config: the run's.
        run: its folder.
        console: where progress is shown.
        memory: the learner's names for what the core's memory does, for the dashboard.
        saved: the checkpoint.

    Raises:
        RunError: if the learner gave up or died; the last checkpoint stays the newest.
    """
    metrics = PolicyMetrics(config.envs, config.launch.workers, config.learner.unroll_length)
    view = policy_view(config.envs.tasks, memory)
    watch = MemoryWatch(config.agent)
    resumed_at = None
    if saved:
        resumed_at = saved.frames
        metrics.load(saved.metrics, resumed_at, saved.flow.version)
    with (
        closing(Dashboard(run, dump_config(config), view.charts, resumed_at)) as dashboard,
        closing(make_flow(config, saved.flow if saved else None)) as flow,
        stop_on_signal() as stopped,  # after Ray, which puts a handler of its own for SIGTERM
        make_display(console, view, config.total_frames, metrics.frames) as display,
    ):
        saved_at = metrics.frames
        row_at = metrics.frames
        done = False
        while not done:
            try:
                report = flow.update()
            except TrainingDivergedError as error:
                raise RunError(f"{error}; the checkpoints of {run.path} stay as they are") from None
            metrics.add(report)
            watch.add(report.metrics)
            # Asked once: a signal during what follows must not end the loop before it has saved.
            done = metrics.frames >= config.total_frames or bool(stopped)
            save = done or metrics.frames - saved_at >= config.checkpoint.every_frames
            # A checkpoint closes the row, so that a resumed run's rows are those it would have had.
            if save or metrics.frames - row_at >= config.log_every_frames:
                row_at = metrics.frames
                row = metrics.row()
                dashboard.write(row)
                display.show(row)
            if save:
                saved_at = metrics.frames
                _save(run, flow, metrics, config)


def _save(run: RunFolder, flow: Flow, metrics: Metrics, config: RunConfig) -> None:
    saved = Saved(flow.save(), metrics.state(), config.model_dump(mode="json"))
    folder = run.save_checkpoint(saved, config.checkpoint.keep)
    log.info("saved %s", folder)


@contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in the yielded list instead of dying of them.

    A second one is not held back: whoever repeats it does not want to wait. Python hands signals to
    the main thread only; in another one, nothing is collected.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _: FrameType | None) -> None:
        received.append(number)
        log.warning("%s: saving after this update", signal.Signals(number).name)
        for each in before:
            signal.signal(each, signal.default_int_handler)

    for number in before:
        signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
