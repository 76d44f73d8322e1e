"""The folder of a run: configuration, metrics, TensorBoard events, checkpoints."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launch.config.fewshot import FewShotConfig
from launch.config.schema import CommonConfig, LoadedConfig, RunConfig
from launch.config.source import (
    AnyConfig,
    dump_config,
    expect,
    override_keys,
    parse_config,
    read_yaml,
)
from launch.errors import UserError
from launch.paths import expand, is_file, why_not_writable
from launch.run.nonfinite import write_failed
from launch.run.saved import Saved, parse
from learners import NonfiniteUpdate, checkpoint

log = logging.getLogger(__name__)

# A resumed run is the same run: what `config.fixed` names stays. How fast the tasks are stepped is
# free.
FREE = ("envs.threads",)


class RunFolder:
    """Where everything about one run is kept, and all that reading it takes."""

    def __init__(self, path: str | Path) -> None:
        self._place(Path(expand(str(path))))

    def _place(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.metrics_file = path / "metrics.jsonl"
        self.checkpoints = path / "checkpoints"
        self.best = path / "best"
        self.nonfinite = path / "nonfinite"

    @classmethod
    def new(cls, config: CommonConfig, name: str) -> RunFolder:
        """Name the folder of a new run; nothing is written yet.

        Args:
            config: of the run.
            name: of the configuration, for the folder's name.

        Raises:
            UserError: if the folder holds a run already, or cannot be written.
        """
        path = config.run_dir or (
            f"runs/{Path(name).stem}-{config.core}-s{config.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        )
        run = cls(path)
        run.refuse_unwritable()
        run._refuse_another()
        return run

    @classmethod
    def open(
        cls, path: str | Path, overrides: Sequence[str] = ()
    ) -> tuple[RunFolder, LoadedConfig]:
        """Open the run of a policy and read its configuration.

        Raises:
            UserError: if there is none, or if an override would make it another run.
        """
        run, config = cls.open_any(path, overrides)
        return run, expect(LoadedConfig, config, f"{path}")

    @classmethod
    def open_any(
        cls, path: str | Path, overrides: Sequence[str] = ()
    ) -> tuple[RunFolder, AnyConfig]:
        """Open an existing run of either kind and read its configuration.

        Raises:
            UserError: if there is none, or if an override would make it another run.
        """
        run = cls(path)
        if not is_file(run.config_file):
            raise UserError(f"{path}: not a run folder: it has no config.yaml")
        tree = _with_older_defaults(read_yaml(run.config_file))
        config = parse_config(tree, overrides, str(run.config_file))
        for key in override_keys(overrides):
            if key not in FREE and any(
                f"{key}.".startswith(f"{f}.") or f.startswith(f"{key}.") for f in config.fixed
            ):
                raise UserError(
                    f"{key}: cannot change when a run is resumed; start a new run for that"
                )
        return run, config

    def newest_checkpoint(self) -> Saved:
        """Return the newest checkpoint that can be read, and name the damaged ones passed over.

        Raises:
            UserError: if there is none, or if it is of a format that is not read.
        """
        saved = _newest_in(self.checkpoints)
        if not saved:
            raise UserError(f"{self.path}: has no checkpoint that can be read: start it anew")
        return saved

    def find_checkpoint(self, choice: str) -> Saved:
        """Return the checkpoint that a user names.

        Args:
            choice: `newest`; `best`, with the best score; or the number of its frames.

        Raises:
            UserError: if there is none, it cannot be read, or `choice` is none of these.
        """
        if choice == "newest":
            return self.newest_checkpoint()
        if choice == "best":
            saved = _newest_in(self.best)
            if not saved:
                raise UserError(f"{self.path}: has no best checkpoint that can be read: use newest")
            return saved
        if not re.fullmatch("[0-9]{1,18}", choice):
            raise UserError(f"checkpoint {choice!r}: use best, newest or a number of frames")
        there = {int(folder.name): folder for folder in checkpoint.saved(self.best)}
        there |= {int(folder.name): folder for folder in checkpoint.saved(self.checkpoints)}
        if int(choice) not in there:
            known = ", ".join(map(str, sorted(there))) or "none"
            raise UserError(f"{self.path}: has no checkpoint {choice}, there is {known}")
        folder = there[int(choice)]
        try:
            return _parse(checkpoint.load(folder), folder)
        except checkpoint.CheckpointError as error:
            raise UserError(str(error)) from None

    @property
    def has_best(self) -> bool:
        """Whether a checkpoint with the best score is there; it may be damaged."""
        return bool(checkpoint.saved(self.best))

    @property
    def has_checkpoint(self) -> bool:
        """Whether a checkpoint is there; it may be damaged."""
        return bool(checkpoint.saved(self.checkpoints))

    def save_checkpoint(self, saved: Saved, keep: int) -> Path:
        """Write a checkpoint; then remove all but the newest `keep`."""
        return _save(self.checkpoints, saved, keep)

    def save_best(self, saved: Saved) -> Path:
        """Write the checkpoint with the best score, in place of the one before."""
        return _save(self.best, saved, keep=1)

    def save_nonfinite(self, config: dict[str, Any], updates: Sequence[NonfiniteUpdate]) -> Path:
        """Write the update for which the run ends, of each learner; return its folder."""
        return write_failed(self.nonfinite, config, updates)

    def create(self, config: RunConfig | FewShotConfig) -> None:
        """Make the folder of a new run and write its configuration.

        A folder that the system named gets a number if another process has just taken the name.

        Raises:
            UserError: if the folder holds a run already, or cannot be written.
        """
        self._refuse_another()
        named, number = self.path, 1
        while config.run_dir is None:
            try:
                self.path.mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
                self._place(named.with_name(f"{named.name}-{number}"))
            except OSError as error:
                raise UserError(
                    f"run_dir: {self.path} cannot be written: {error.strerror}"
                ) from None
        self.write_config(config)

    def write_config(self, config: RunConfig | FewShotConfig) -> None:
        """Write the configuration that the run begins, or continues, with.

        Raises:
            UserError: if the folder cannot be written.
        """
        beside = self.config_file.with_suffix(".tmp")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            beside.write_text(dump_config(config))
            beside.rename(self.config_file)
        except OSError as error:
            raise UserError(f"run_dir: {self.path} cannot be written: {error.strerror}") from None

    def refuse_unwritable(self) -> None:
        """Refuse a folder in which nothing could be written, before any work is done for it."""
        whole = self.path.absolute()
        if reason := why_not_writable(whole):
            raise UserError(f"run_dir: {self.path} cannot be written: {reason}")
        try:
            there = next(folder for folder in (whole, *whole.parents) if folder.exists())
        except OSError as error:
            raise UserError(f"run_dir: {self.path} cannot be written: {error.strerror}") from None
        if not (there.is_dir() and os.access(there, os.W_OK)):
            raise UserError(
                f"run_dir: {self.path} cannot be written: {there} is no folder to write to"
            )

    def _refuse_another(self) -> None:
        # One that ended before its first checkpoint has nothing to lose, and can be started again.
        if self.config_file.exists() and self.has_checkpoint:
            raise UserError(
                f"run_dir: {self.path} already holds a run: continue it with --resume {self.path}, "
                "or name another folder"
            )


def _newest_in(root: Path) -> Saved | None:
    """Return the newest checkpoint that can be read, if any; name those that cannot be."""
    for folder, tree in checkpoint.readable(root):
        if isinstance(tree, checkpoint.CheckpointError):
            log.warning("passed over: %s", tree)
            continue
        try:
            saved = _parse(tree, folder)
        except checkpoint.CheckpointError as error:
            log.warning("passed over: %s", error)
            continue
        log.info("checkpoint %s", folder)
        return saved
    return None


def _parse(tree: dict[str, Any], folder: Path) -> Saved:
    """Read what a checkpoint holds; refuse one that has the name of another.

    Raises:
        CheckpointError: if it was taken at other frames than its name says.
        UserError: as `parse`.
    """
    saved = parse(tree, str(folder))
    if saved.frames != int(folder.name):
        raise checkpoint.CheckpointError(
            f"{folder} is damaged: it holds the checkpoint of {saved.frames} frames"
        )
    return saved


def _is_good(folder: Path) -> bool:
    try:
        _parse(checkpoint.load(folder), folder)
    except (checkpoint.CheckpointError, UserError):
        return False
    return True


def _save(root: Path, saved: Saved, keep: int) -> Path:
    folder = root / checkpoint.name_of(saved.frames)
    if os.path.lexists(folder) and not _is_good(folder):
        checkpoint.remove(folder)
    checkpoint.save(folder, saved.tree())
    checkpoint.prune(folder, keep)
    return folder


def _with_older_defaults(tree: dict[str, Any]) -> dict[str, Any]:
    """Add to a run's configuration what was the only choice when it was written.

    A run folder keeps every key. One that it lacks did not exist then, and its default has changed
    since.
    """
    agent = tree.get("agent")
    if isinstance(agent, dict) and isinstance(agent.get("srwm"), dict):
        agent["srwm"].setdefault("input", "softmax")
    learner = tree.get("learner")
    if isinstance(learner, dict) and "episodes" not in tree:  # a few-shot run has no time limits
        learner.setdefault("bootstrap_time_limits", False)
    return tree
