"""Episodes for a few-shot run: its data, the network that reads them, a stream of batches."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch.distributed import ProcessGroup

from agents import Classifier, make_classifier
from envs.fewshot.config import EpisodesConfig
from envs.fewshot.datasets import load_source
from envs.fewshot.episodes import EpisodeBatch, EpisodeSampler
from envs.fewshot.images import Split
from launch.config.fewshot import FewShotConfig
from launch.flow.resources import learning_device
from learners.supervised import SupervisedLearner

# Episodes of validation and test follow from these numbers, not from the seed of a run: they are
# the same for every run and core.
SPLIT_SEEDS: dict[Split, int] = {"train": 1, "validation": 2, "test": 3}

EVALUATION_BATCH = 50
"""Episodes at once; other sizes would draw other episodes."""

AHEAD = 2
"""Batches that are drawn while the learner is at work."""


class Data(NamedTuple):
    """What a run learns from, and what it is tried on meanwhile."""

    train: EpisodeSampler
    validation: EpisodeSampler

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image."""
        return self.train.sources[0].shape


def load_data(config: EpisodesConfig) -> Data:
    """Load the training and the validation classes.

    Raises:
        DataError: if files are missing or not as they should be, or do not fit to the episodes.
    """
    return Data(load_sampler(config, "train", training=True), load_sampler(config, "validation"))


def load_sampler(config: EpisodesConfig, split: Split, training: bool = False) -> EpisodeSampler:
    """Load one split of each task, and return what draws its episodes.

    Args:
        config: the section `episodes`.
        split: whose classes are drawn.
        training: whether tasks are shortened and come in the order that `config` says. Otherwise
            they are whole and in the order of the list, so that positions can be compared.

    Raises:
        DataError: as `load_data`.
    """
    sources = [load_source(task, split) for task in config.tasks]
    if not training:
        config = config.model_copy(update={"task_order": "fixed"})
    return EpisodeSampler(sources, config, training=training)


def build_classifier(
    config: FewShotConfig, shape: tuple[int, int, int], device: str = "cpu"
) -> Classifier:
    """Build the network; its weights are drawn from torch's global generator.

    Args:
        config: of the run.
        shape: (H, W, C) of the images.
        device: where it is put.

    Raises:
        ValueError: if the backbone cannot read such images.
    """
    episodes = config.episodes
    return make_classifier(
        config.classifier,
        shape,
        episodes.n_way,
        episodes.unknown_label,
        episodes.tasks[0].normalise,
        device,
    )


def build_supervised_learner(
    config: FewShotConfig, shape: tuple[int, int, int], group: ProcessGroup | None = None
) -> SupervisedLearner:
    """Build the learner of a run, its network drawn from the run's seed.

    Args:
        config: of the run.
        shape: (H, W, C) of the images.
        group: the learners that it shares batches with, if any.
    """
    torch.manual_seed(config.seed)
    device = learning_device(config)
    return SupervisedLearner(build_classifier(config, shape, device), config.learner, device, group)


class EpisodeStream:
    """Batches of episodes, drawn by a thread ahead of the learner.

    Batch number i follows from the seed and i alone, so a resumed run goes on where it was.

    Args:
        sampler: draws the episodes.
        seed: of the run.
        batch: episodes of a batch.
        start: number of the first batch.
    """

    def __init__(self, sampler: EpisodeSampler, seed: int, batch: int, start: int) -> None:
        self._sampler = sampler
        self._seed = seed
        self._batch = batch
        self._next = start
        self._thread = ThreadPoolExecutor(1, "episodes")
        self._drawn: deque[Future[EpisodeBatch]] = deque()
        for _ in range(AHEAD):
            self._draw_ahead()

    def take(self) -> EpisodeBatch:
        """Return the next batch."""
        batch = self._drawn.popleft().result()
        self._draw_ahead()
        return batch

    @property
    def waiting(self) -> int:
        """Batches that are drawn and wait."""
        return sum(drawn.done() for drawn in self._drawn)

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _draw_ahead(self) -> None:
        rng = np.random.default_rng([self._seed, SPLIT_SEEDS["train"], self._next])
        self._drawn.append(self._thread.submit(self._sampler.draw, rng, self._batch))
        self._next += 1
