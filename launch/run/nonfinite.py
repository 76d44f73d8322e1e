"""Save and read the update that ended a run because it was not finite.

RUN/nonfinite/000000000120/      the version of the weights; the files are those of a checkpoint
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field
from torch import Tensor

from launch.errors import UserError
from launch.paths import is_file
from launch.run.content import OPEN, LearnerState, require_content
from learners import NonfiniteUpdate, checkpoint

FORMAT = 1
KIND = "non-finite update"
KEEP = 3  # folders; a run that is continued may end so again


class FailedUpdate(NamedTuple):
    """The update for which a run ended."""

    config: dict[str, Any]  # the configuration, as it was then
    state: dict[str, Any]  # of the first learner before the update
    shares: list[dict[str, Any]]  # the batch: the share of each learner


class FailedContent(BaseModel):
    """The types of the same in a file."""

    model_config = OPEN

    config: dict[str, Any]
    state: LearnerState
    shares: Annotated[list[dict[str, Tensor | list[Tensor]]], Field(min_length=1)]


def write_failed(root: Path, config: dict[str, Any], updates: Sequence[NonfiniteUpdate]) -> Path:
    """Write an update below `root` and return its folder.

    Args:
        root: the folder `nonfinite` of the run.
        config: the configuration of the run.
        updates: of each learner; at least one.
    """
    state = updates[0].state
    folder = root / checkpoint.name_of(state["version"])
    checkpoint.remove(folder)  # the run ended there before, for another batch
    failed = FailedUpdate(config, state, [update.batch for update in updates])
    checkpoint.save(folder, {"kind": KIND, "format": FORMAT, **failed._asdict()})
    checkpoint.prune(folder, KEEP)
    return folder


def read_failed(folder: Path) -> FailedUpdate:
    """Read what `write_failed` wrote, every array as a CPU tensor.

    Raises:
        UserError: if it is damaged, something else, or of a format that is not read.
    """
    try:
        tree = checkpoint.load(folder) if is_file(folder / checkpoint.SUMS) else {}
    except checkpoint.CheckpointError as error:
        raise UserError(str(error)) from None
    if tree.get("kind") != KIND:
        raise UserError(f"{folder}: is not a {KIND}: those that ended a run are in RUN/nonfinite/")
    number = tree.get("format")
    if type(number) is not int or number != FORMAT:
        raise UserError(
            f"{folder}: has format {number!r}, but this version reads format {FORMAT}: "
            "use the version of srwm that wrote it"
        )
    try:
        require_content(FailedContent, tree)
    except ValueError as error:
        raise UserError(f"{folder}: is not a {KIND}: {error}") from None
    return FailedUpdate(*(tree[name] for name in FailedUpdate._fields))
