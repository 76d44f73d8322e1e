"""Few-shot learning in one process: draw episodes, learn from them, validate now and then."""

from __future__ import annotations

import numpy as np
import torch

from envs.fewshot.episodes import EpisodeSampler, fixed_batches
from envs.fewshot.images import Split
from launch.config.fewshot import FewShotConfig
from launch.flow.base import FlowState, Trial, UpdateReport, passes
from launch.flow.episodes import (
    EVALUATION_BATCH,
    SPLIT_SEEDS,
    Data,
    EpisodeStream,
    build_supervised_learner,
)
from launch.flow.heap import keep_freed_memory
from launch.flow.resources import cpu_count
from learners import NonfiniteUpdate
from learners.supervised import Evaluation, SupervisedLearner, make_batch


class SupervisedFlow:
    """One learner and a thread that draws its episodes.

    Args:
        config: of the run.
        data: what it learns from.
        saved: the state to go on from, if any.
    """

    def __init__(self, config: FewShotConfig, data: Data, saved: FlowState | None = None) -> None:
        torch.set_num_threads(config.launch.learner_threads or cpu_count())
        keep_freed_memory()
        self.config = config
        self.data = data
        self.learner = build_supervised_learner(config, data.shape)
        if saved:
            self.learner.load(saved.learner)
        done = self.learner.version + self.learner.skipped
        batch = config.learner.batch_size
        self.stream = EpisodeStream(self.data.train, config.seed, batch, start=done)

    def update(self) -> UpdateReport:
        """Learn from a batch of episodes; validate where it is due."""
        learner, before = self.learner, self.learner.frames
        metrics = learner.step(make_batch(self.stream.take(), learner.device))
        trial = None
        if validation_is_due(self.config, before, learner.frames):
            found = evaluate_split(learner, self.data.validation, "validation", self.episodes)
            trial = validation_trial(found)
        waiting = self.stream.waiting
        return UpdateReport(learner.frames, learner.version, metrics, [], waiting, trial=trial)

    @property
    def episodes(self) -> int:
        """Episodes of a validation."""
        return self.config.validation.episodes

    def save(self) -> FlowState:
        """Return the learner's state; the episodes that follow are known from it."""
        return FlowState(self.learner.state())

    def newest(self) -> None:
        """Return None: `save` costs little here, so the driver keeps copies itself."""

    def nonfinite(self) -> list[NonfiniteUpdate]:
        """Return what the learner had in the update for which training is given up, if it is."""
        update = self.learner.nonfinite()
        return [update] if update else []

    def close(self) -> None:
        """Stop drawing."""
        self.stream.close()


def validation_is_due(config: FewShotConfig, before: int, after: int) -> bool:
    """Return whether an update from `before` to `after` frames is followed by a validation."""
    every = config.validation.every_frames
    return passes(every, before, after) or after >= config.total_frames


def evaluate_split(
    learner: SupervisedLearner, sampler: EpisodeSampler, split: Split, episodes: int
) -> Evaluation:
    """Evaluate the learner's network on the fixed episodes of a split.

    Args:
        learner: whose network it is.
        sampler: of the split.
        split: its name.
        episodes: how many, from the first.
    """
    batches = fixed_batches(sampler, SPLIT_SEEDS[split], EVALUATION_BATCH, episodes)
    return learner.evaluate(make_batch(batch, learner.device) for batch in batches)


def validation_trial(found: Evaluation) -> Trial:
    """Return loss and accuracy of scored positions, over all and by the examples seen."""
    scored = found.scored
    metrics = {
        "loss/validation": float(found.loss[scored].mean()),
        "accuracy/validation": float(found.correct[scored].mean()),
    }
    for seen in np.unique(found.seen[scored]):
        here = scored & (found.seen == seen)
        metrics[f"accuracy/validation/shot{seen}"] = float(found.correct[here].mean())
    return Trial(metrics["accuracy/validation"], metrics)
