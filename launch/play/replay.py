"""Repeat the update that ended a run, and find where it stops being finite."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from agents import make_agent
from launch.config.fewshot import FewShotConfig
from launch.config.schema import LoadedConfig
from launch.config.source import parse_config
from launch.errors import UserError
from launch.flow.episodes import build_classifier
from launch.run.nonfinite import FailedUpdate, read_failed
from launch.run.saved import to_rollout
from learners import Finding, Inspection, Learner
from learners.impala.rollout import join
from learners.supervised import SupervisedBatch, SupervisedLearner

ONCE = {"max_skipped": 2}
"""A learner that is given one batch must report on it, not give up."""


def replay(folder: Path) -> list[Finding]:
    """Return what is not finite in a saved update, in the order in which the update computes it.

    One learner on the CPU takes the whole batch. Neither environments nor data sets are needed: the
    sizes are those of the batch.

    Args:
        folder: what `launch.run.nonfinite.write_failed` wrote.

    Raises:
        UserError: if it cannot be read, or does not fit to its own configuration.
    """
    failed = read_failed(folder)
    config = parse_config(failed.config, [], str(folder))
    try:
        if isinstance(config, FewShotConfig):
            return _fewshot(config, failed)
        return _policy(config, failed)
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        # The file may be from anywhere, so its arrays of any shape and dtype.
        raise UserError(f"{folder}: does not fit to its own configuration: {error}") from None


def _policy(config: LoadedConfig, failed: FailedUpdate) -> list[Finding]:
    rollout = join([to_rollout(share) for share in failed.shares])
    agent = make_agent(
        config.agent,
        rollout.obs.shape[2:],
        rollout.logits.shape[-1],
        config.learner.unroll_length,
    )
    learner = Learner(agent, config.learner.model_copy(update=ONCE), config.total_frames)
    batch = learner.stage([rollout])
    tensors = {name: getattr(batch, name) for name in rollout._fields if name != "version"}
    return _step(learner, agent, batch, tensors, failed)


def _fewshot(config: FewShotConfig, failed: FailedUpdate) -> list[Finding]:
    batch = SupervisedBatch.join([SupervisedBatch(**share) for share in failed.shares])
    height, width, channels = batch.images.shape[2:]
    classifier = build_classifier(config, (height, width, channels))
    learner = SupervisedLearner(classifier, config.learner.model_copy(update=ONCE))
    return _step(learner, classifier, batch, batch._asdict(), failed)


def _step(
    learner: Learner | SupervisedLearner,
    network: torch.nn.Module,
    batch: Any,
    inputs: dict[str, Any],
    failed: FailedUpdate,
) -> list[Finding]:
    learner.load(failed.state)
    inspection = Inspection()
    inspection.look("input", "", inputs)
    inspection.look("weight", "", network.state_dict())
    with inspection.watching(network):
        metrics = learner.step(batch)
    losses = {name: value for name, value in metrics.items() if name.startswith("loss/")}
    total = losses.pop("loss/total")
    for name, value in (*losses.items(), ("loss/total", total)):  # the sum after its parts
        inspection.look("loss", name, torch.tensor(value))
    norm = metrics["learner/grad_norm"]
    if not math.isfinite(norm):  # also where each gradient is, but not the sum of their squares
        inspection.look("gradient", "norm of all gradients", torch.tensor(norm))
    return inspection.findings
