"""The content of a checkpoint, and the formats of it that can be read."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from launch.errors import UserError
from launch.flow.base import FlowState
from launch.run.content import CheckpointContent, PolicyLearnerState, require_content
from learners import Rollout, Schedule
from learners.impala.rollout import map_fields

FORMAT = 3
"""The format that is written.

Format 1 has no number, and its first files have no schedule. The rollouts that wait in formats 1
and 2 have no `final_value`.
"""
READ = range(1, FORMAT + 1)


class Saved(NamedTuple):
    """All that a run needs to continue."""

    flow: FlowState
    metrics: dict[str, Any]  # the state of the run's metrics
    config: dict[str, Any]  # the configuration, as it was when this was saved

    @property
    def frames(self) -> int:
        """Environment steps learnt from so far."""
        return self.flow.frames

    def tree(self) -> dict[str, Any]:
        """Return what is written: see `learners.checkpoint.save`."""
        return {
            "format": FORMAT,
            "learner": self.flow.learner,
            "workers": self.flow.workers,
            "waiting": [rollout._asdict() for rollout in self.flow.waiting],
            "turn": self.flow.turn,
            "metrics": self.metrics,
            "config": self.config,
        }


def parse(tree: dict[str, Any], name: str) -> Saved:
    """Read what a checkpoint holds.

    Args:
        tree: from `learners.checkpoint.load`.
        name: of the checkpoint, for messages.

    Raises:
        UserError: if it is of a format that is not read, or not a run's checkpoint.
    """
    number = tree.get("format", 1)
    if type(number) is not int or number not in READ:
        raise UserError(
            f"{name}: has checkpoint format {number!r}, but this version reads formats "
            f"1 to {FORMAT}: use the version of srwm that wrote it"
        )
    try:
        require_content(CheckpointContent, tree)
        if number == 1:
            _add_schedule(tree)
        if number < 3:
            _add_final_values(tree)
        if "episodes" not in tree["config"]:  # a few-shot run has no schedule of its own
            require_content(PolicyLearnerState, tree["learner"])
        return Saved(
            FlowState(
                learner=tree["learner"],
                workers=tree.get("workers"),
                waiting=[to_rollout(fields) for fields in tree.get("waiting", ())],
                turn=tree.get("turn", 0),
            ),
            metrics=tree["metrics"],
            config=tree["config"],
        )
    except ValueError as error:
        raise UserError(f"{name}: is not the checkpoint of a run: {error}") from None


def to_rollout(fields: dict[str, Any]) -> Rollout:
    """Make a rollout of arrays from its fields as tensors, as a checkpoint has them.

    Raises:
        ValueError: if they are not the fields of a rollout.
    """
    try:
        return Rollout(**map_fields(lambda _, tensor: tensor.numpy(), Rollout(**fields)))
    except (TypeError, AttributeError) as error:
        raise ValueError(f"a rollout in it is none: {error}") from None


def _add_schedule(tree: dict[str, Any]) -> None:
    """Add the schedule to a checkpoint from before there was a choice: a line to the run's end."""
    config = tree["config"]
    try:
        then = Schedule("linear", config["learner"]["learning_rate"], config["total_frames"])
    except (KeyError, TypeError):
        raise ValueError("'config' is not that of a run that plays games") from None
    tree["learner"].setdefault("schedule", then.state())


def _add_final_values(tree: dict[str, Any]) -> None:
    """Add to rollouts from before truncated episodes were told apart: none was, so zeros."""
    for fields in tree.get("waiting", ()):
        if isinstance(reward := fields.get("reward"), torch.Tensor) and reward.ndim:
            fields["final_value"] = torch.zeros_like(reward[1:])
