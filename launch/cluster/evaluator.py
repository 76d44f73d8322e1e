"""Held-out levels over Ray: a process of its own plays them while the run goes on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import ray
import torch
from ray.exceptions import RayError

from launch.cluster.faults import reason
from launch.config.schema import RunConfig
from launch.flow.base import Trial
from launch.flow.build import build_agent
from launch.flow.held_out import play_held_out, trial_is_due
from learners import Weights, load_agent

log = logging.getLogger(__name__)


class EvaluatorActor:
    """Plays held-out levels on one CPU core, when nothing else wants it."""

    def __init__(self, config: dict[str, Any]) -> None:
        _give_way()
        torch.set_num_threads(1)
        self._run = RunConfig.model_validate(config)
        self._agent = build_agent(self._run)

    def play(self, weights: Weights) -> Trial:
        """Play with these weights."""
        load_agent(self._agent, weights.state_dict)
        return play_held_out(self._run, self._agent)


def _give_way() -> None:
    """Run on the CPU time only that nobody else wants.

    The lowest priority alone would not do: Ray's other processes are hardly above it.
    """
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(19)


class Evaluator:
    """The driver's side: one trial at a time, and never a reason to end the run.

    Args:
        config: of the run.
        start: starts the actor.
    """

    def __init__(self, config: RunConfig, start: Callable[[], Any]) -> None:
        self._config = config
        self._start = start
        self._actor: Any = None
        self._trial: ray.ObjectRef | None = None

    def offer(self, weights: ray.ObjectRef, before: int, after: int) -> None:
        """Begin a trial if one is due after an update from `before` to `after` frames.

        While the last one still goes on, it is left out.
        """
        if self._trial is None and trial_is_due(self._config, before, after):
            self._actor = self._actor or self._start()
            self._trial = self._actor.play.remote(weights)

    def take(self) -> Trial | None:
        """Return what the trial gave, once, if it is over; without waiting."""
        if self._trial is None or not ray.wait([self._trial], timeout=0)[0]:
            return None
        done, self._trial = self._trial, None
        try:
            trial: Trial = ray.get(done)
        except RayError as error:
            log.warning("the held-out levels were not played to the end: %s", reason(error))
            self.close()  # the next trial has an actor of its own
            return None
        return trial

    def close(self) -> None:
        """Stop playing."""
        if self._actor is not None:
            ray.kill(self._actor)
        self._actor = self._trial = None
