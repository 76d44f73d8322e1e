"""Drive a run: update, record, save, until the frames are reached or someone stops it."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from typing import NoReturn

import psutil
from rich.console import Console

from envs.faults import EnvFault
from launch.errors import RunError
from launch.flow.base import Flow, UpdateReport, passes
from launch.flow.resources import is_submitted_job
from launch.job import AnyJob
from launch.run.dashboard import Dashboard
from launch.run.display import Display, make_display
from launch.run.folder import RunFolder
from launch.run.keeper import Keeper
from launch.run.saved import Saved
from launch.run.stop import GRACE, REMOTE_GRACE, StopRequest
from learners import TrainingDivergedError

log = logging.getLogger(__name__)


def drive(
    job: AnyJob,
    run: RunFolder,
    console: Console,
    saved: Saved | None = None,
    own_process: bool = False,
) -> None:
    """Train until `total_frames`, from a checkpoint if one is given.

    SIGINT, SIGTERM and SIGHUP save and return: see `launch.run.stop`.

    Args:
        job: what is run.
        run: its folder.
        console: where progress is shown.
        saved: the checkpoint.
        own_process: whether a stop that cannot wait for an update may end this process. Not in a
            notebook.

    Raises:
        RunError: if the run cannot go on. The newest state is saved before.
    """
    resumed_at = saved.frames if saved else None
    if saved:
        job.metrics.load(saved.metrics, saved.frames, saved.flow.version)
    total = job.config.total_frames
    with (
        closing(Dashboard(run, job.config, job.view, resumed_at)) as dashboard,
        closing(_start(job, saved)) as flow,
        make_display(console, job.view, total, job.metrics.frames) as display,
    ):
        # After Ray, which puts a handler of its own for SIGTERM.
        driver = Driver(job, run, flow, dashboard, display)
        # A learner elsewhere answers between its updates; the copy of its state may be older.
        patient = flow.newest() is not None and not is_submitted_job()
        grace = REMOTE_GRACE if patient else GRACE
        with StopRequest(driver.stop_at_once if own_process else None, grace) as stop:
            driver.run(stop)


def _start(job: AnyJob, saved: Saved | None) -> Flow:
    """Start the parts of a run; in local mode the environments open here."""
    try:
        return job.start(saved.flow if saved else None)
    except EnvFault as fault:
        raise RunError(str(fault)) from fault


class Driver:
    """The loop of a run, and what has to be known to save it at any moment."""

    def __init__(
        self, job: AnyJob, run: RunFolder, flow: Flow, dashboard: Dashboard, display: Display
    ) -> None:
        self.job = job
        self.run_folder = run
        self.flow = flow
        self.dashboard = dashboard
        self.display = display
        self.metrics = job.metrics
        self.keeper: Keeper[Saved] = Keeper()
        self.saved_at = self.metrics.frames
        self._unsaved: str | None = None  # why the last checkpoint could not be written

    def run(self, stop: StopRequest) -> None:
        """Update until the frames are reached or a stop is requested.

        Raises:
            RunError: if the run cannot go on, or its end cannot be saved.
        """
        config, metrics, done = self.job.config, self.metrics, False
        self._keep()
        while not done:
            before = self._take(self._update())
            self._write_row_if_due(before)
            self._keep()
            # Asked once: a signal during what follows must not end the loop before it has saved.
            done = metrics.frames >= config.total_frames or stop.requested is not None
            save = done or metrics.frames - self.saved_at >= config.checkpoint.every_frames
            if save:
                state = self._state()
                if self.keeper.newest and state.frames < metrics.frames:
                    # The learner failed, and was restarted from the newest state.
                    state, done = self.keeper.newest, stop.requested is not None
                stop.take_over()
                self._save(state)
                stop.release()
        if self._unsaved:
            raise RunError(
                f"the end of the run could not be saved ({self._unsaved}); the older checkpoints "
                f"are whole: make room, then {self._resume_command()}"
            )

    def stop_at_once(self) -> NoReturn:
        """Save the newest copy of the state, and end this process and those that it started."""
        self._save_if_newer(self.keeper.newest)
        log.warning("stopped without waiting for the update; %s", self._resume_command())
        for process in psutil.Process().children(recursive=True):
            process.kill()
        self.display.close()
        os._exit(0)

    def _update(self) -> UpdateReport:
        """Wait for the next update; what ends the run saves first."""
        try:
            return self.flow.update()
        except TrainingDivergedError as error:
            where = self.run_folder.path
            raise RunError(
                f"{error}; the checkpoints of {where} stay as they are{self._save_nonfinite()}"
            ) from None
        except (RunError, EnvFault) as error:
            self._save_newest()
            raise RunError(f"{error}; {self._resume_command()}") from error
        except Exception:
            self._save_newest()
            raise

    def _take(self, report: UpdateReport) -> int:
        """Take in an update; return the frames before it."""
        newest = self.keeper.newest
        if newest and report.frames <= self.metrics.frames:
            # The learner was restarted. What was counted since the state that it has is void.
            self.metrics.load(newest.metrics, newest.frames, report.version)
            self.dashboard.rewind(newest.frames)
            self.saved_at = min(self.saved_at, newest.frames)
        before = self.metrics.frames
        self.metrics.add(report)
        self.job.watch.add(report.metrics)
        if report.trial and self.metrics.is_best(report.trial.score):
            self._save_best()
        return before

    def _keep(self) -> None:
        """Keep a copy of the state in memory, where it is cheap."""
        kept = self.flow.newest()
        if kept is None:
            self.keeper.offer(self._state)
        elif kept.frames == self.metrics.frames:  # the metrics belong to it
            self.keeper.keep(Saved(kept, self.metrics.state(), self._config()))

    def _write_row_if_due(self, before: int) -> None:
        """Write a row every `log_every_frames`, and a shorter one at the end of the run.

        Checkpoints and stops do not cut a row: what is collected of it is part of the state.
        """
        config, frames = self.job.config, self.metrics.frames
        if not passes(config.log_every_frames, before, frames) and frames < config.total_frames:
            return
        row = self.metrics.row()
        self.dashboard.write(row)
        self.display.show(row)

    def _state(self) -> Saved:
        return Saved(self.flow.save(), self.metrics.state(), self._config())

    def _config(self) -> dict[str, object]:
        return self.job.config.model_dump(mode="json")

    def _save(self, state: Saved) -> None:
        """Write a checkpoint. If that fails the run goes on: a disk may be full for a while."""
        try:
            folder = self.run_folder.save_checkpoint(state, self.job.config.checkpoint.keep)
        except OSError as error:
            self._unsaved = error.strerror or str(error)
            log.warning("no checkpoint at %d frames: %s", state.frames, self._unsaved)
        else:
            self._unsaved = None
            log.info("saved %s", folder)
        # A state may be some updates ahead of the metrics; the next one is due by the metrics.
        self.saved_at = min(state.frames, self.metrics.frames)

    def _save_best(self) -> None:
        """Write the checkpoint with the best score. If that fails the run goes on, as above."""
        try:
            self.run_folder.save_best(self._state())
        except OSError as error:
            log.warning("no best checkpoint: %s", error.strerror or error)

    def _save_newest(self) -> None:
        newest, kept = self.keeper.newest, self.flow.newest()
        if kept and kept.frames >= self.metrics.frames:
            newest = Saved(kept, self.metrics.state(), self._config())
        self._save_if_newer(newest)

    def _save_if_newer(self, state: Saved | None) -> None:
        """Save a state that is newer than the checkpoints, or the first: then a run can go on."""
        if state and (state.frames > self.saved_at or not self.run_folder.has_checkpoint):
            self._save(state)

    def _save_nonfinite(self) -> str:
        """Save the update that ends the run; return the end of the error message."""
        updates = self.flow.nonfinite()
        if not updates:
            return ""
        try:
            folder = self.run_folder.save_nonfinite(self._config(), updates)
        except OSError as error:
            return f"; the batch could not be saved: {error.strerror or error}"
        return f"; the batch is saved: see what is wrong with: srwm replay {folder}"

    def _resume_command(self) -> str:
        if not self.run_folder.has_checkpoint:
            return "nothing is saved: the run can be started again"
        return f"continue it with: srwm {self.job.view.command} --resume {self.run_folder.path}"
