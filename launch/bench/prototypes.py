"""`srwm bench prototypes`: a prototypical network on a few-shot run's data, as a yardstick.

Snell et al. 2017, "Prototypical Networks for Few-shot Learning": a class is the mean of the
features of its labelled images, and an image belongs to the nearest class. It has no memory to
learn: what it reaches is due to the features alone.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from rich.table import Table

from agents import evaluating
from agents.encoders.backbones import Backbone, make_backbone
from envs.fewshot.config import EpisodesConfig
from launch.config.fewshot import FewShotConfig
from launch.errors import UserError
from launch.flow.episodes import load_sampler
from launch.flow.heap import keep_freed_memory
from launch.flow.resources import cpu_count, learning_device
from launch.play.fewshot import draw_fixed
from launch.play.intervals import Estimate, estimate_accuracy
from launch.report.table import table
from learners.supervised import SupervisedBatch, make_batch
from learners.supervised.losses import cross_entropy, prototype_logits


@dataclass(frozen=True)
class PrototypeScore:
    """What a prototypical network reaches on the test episodes that `srwm eval` uses."""

    accuracy: Estimate  # over episodes
    episodes: int
    images: int  # that it learnt from
    seconds: float  # of training
    train_ways: int

    def as_dict(self) -> dict[str, object]:
        """Return all of it."""
        return {**asdict(self), "accuracy": self.accuracy._asdict()}

    def tables(self) -> list[Table]:
        """Return the accuracy and its interval."""
        columns = [("", ""), ("accuracy %", ".1f"), ("from", ".1f"), ("to", ".1f")]
        values = [None if value is None else 100 * value for value in self.accuracy]
        return [table(columns, [("test classes", *values)])]

    def summary(self) -> str:
        """Return one line: how it was trained."""
        return (
            f"trained on {self.images:,} images in episodes of {self.train_ways} classes, "
            f"{self.seconds:.0f} s; {self.episodes} test episodes"
        )


def prototype_score(
    config: FewShotConfig,
    images: int,
    train_ways: int,
    episodes: int,
    step: Callable[[str], None],
) -> PrototypeScore:
    """Train a backbone as a prototypical network, and try it on classes of the test split.

    It is the run's backbone, on the run's data, with the run's rate, seed and episodes, but for the
    number of classes in a training episode; a batch has about as many images as the run's.

    Args:
        config: of the run; one task, synchronous labels.
        images: how many to learn from.
        train_ways: classes of an episode in training; the paper recommends more than in the test.
        episodes: of the test, from the first.
        step: called with what is done next, now and then.

    Raises:
        UserError: if prototypes cannot be had from such episodes.
        DataError: if data are missing or too few.
    """
    ours = config.episodes
    if len(ours.tasks) > 1 or ours.labels == "delayed":
        raise UserError("bench prototypes: needs one task and episodes.labels 'synchronous'")
    torch.set_num_threads(config.launch.learner_threads or cpu_count())
    keep_freed_memory()
    torch.manual_seed(config.seed)
    device = torch.device(learning_device(config))
    sampler = load_sampler(
        ours.model_copy(update={"n_way": train_ways, "n_query": train_ways}), "train", training=True
    )
    backbone = make_backbone(
        config.classifier.backbone, sampler.sources[0].shape, ours.tasks[0].normalise
    ).to(device)
    size = _images_of_an_episode(sampler.config)
    sequences = max(1, config.learner.batch_size * _images_of_an_episode(ours) // size)
    rng = np.random.default_rng(config.seed)
    drawn = (make_batch(sampler.draw(rng, sequences), device) for _ in itertools.count())
    started = time.perf_counter()
    learnt = _train(backbone, config, drawn, images, train_ways, step)
    seconds = time.perf_counter() - started
    step("test")
    test = draw_fixed(load_sampler(ours, "test"), "test", episodes)
    accuracies = _answer(backbone, (make_batch(batch, device) for batch in test), ours.n_way)
    return PrototypeScore(
        estimate_accuracy(accuracies), len(accuracies), learnt, seconds, train_ways
    )


def _train(
    backbone: Backbone,
    config: FewShotConfig,
    batches: Iterator[SupervisedBatch],
    images: int,
    ways: int,
    step: Callable[[str], None],
) -> int:
    """Learn from `images` or a few more; return how many."""
    ours = config.learner
    betas = ours.adam_beta1, ours.adam_beta2
    optimiser = torch.optim.Adam(
        backbone.parameters(), ours.learning_rate, betas, eps=ours.adam_eps
    )
    backbone.train()
    learnt = told = 0
    while learnt < images:
        batch = next(batches)
        optimiser.zero_grad()
        logits = _logits(backbone, batch, ways)
        loss = cross_entropy(logits, batch.target)[batch.scored].mean()
        loss.backward()
        optimiser.step()
        learnt += batch.target.numel()
        if learnt >= told + images / 10:
            told = learnt
            step(f"training: {learnt:,} of {images:,} images, loss {loss.item():.2f}")
    return learnt


@torch.no_grad()
def _answer(backbone: Backbone, batches: Iterator[SupervisedBatch], n_way: int) -> list[float]:
    """Return the share of right answers of each episode."""
    accuracies: list[float] = []
    with evaluating(backbone):
        for batch in batches:
            right = _logits(backbone, batch, n_way).argmax(-1) == batch.target
            right, answers = (right & batch.scored).sum(0), batch.scored.sum(0)
            accuracies += (right / answers).tolist()
    return accuracies


def _logits(backbone: Backbone, batch: SupervisedBatch, n_way: int) -> torch.Tensor:
    features = backbone(batch.images.flatten(0, 1)).unflatten(0, batch.target.shape)
    return prototype_logits(features, batch, n_way)


def _images_of_an_episode(episodes: EpisodesConfig) -> int:
    return episodes.n_way * episodes.k_shot + episodes.n_query
