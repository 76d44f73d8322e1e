"""Episodes: pictures and labels as sequences from which a network learns while it reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.fewshot.config import EpisodesConfig
from envs.fewshot.images import DataError, ImageSource


@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """B episodes of T positions, time first; a position is a picture and a label that goes in.

    A label is the number that a class has in its episode, 0 to n_way - 1. Each task of a sequence
    numbers its own classes.

    Attributes:
        images: uint8 [T, B, H, W, C].
        label_in: int64 [T, B], the label that goes in; n_way is "unknown", if there is one.
        target: int64 [T, B], the picture's own label.
        scored: bool [T, B], positions that count in loss and accuracy.
        labelled: bool [T, B], positions whose own label goes in: with the picture, or with the next
            one if labels are delayed.
        seen: int64 [T, B], pictures of the same class and task whose label went in before the
            position is answered: with 0 it can only be guessed, with 1 it is a 1-shot answer.
        task: int64 [T], which of the configured tasks the position belongs to.
    """

    images: NDArray[np.uint8]
    label_in: NDArray[np.int64]
    target: NDArray[np.int64]
    scored: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    seen: NDArray[np.int64]
    task: NDArray[np.int64]

    def map(self, function: Callable[[NDArray[Any]], NDArray[Any]]) -> EpisodeBatch:
        """Apply a function to every field; its result keeps time first."""
        return EpisodeBatch(**{f.name: function(getattr(self, f.name)) for f in fields(self)})

    def columns(self, start: int, stop: int) -> EpisodeBatch:
        """Return the episodes `start` to `stop` - 1, as a copy."""
        # `task` alone has no dimension of episodes.
        return self.map(lambda x: x[:, start:stop].copy() if x.ndim > 1 else x)

    @classmethod
    def join(cls, parts: Sequence[EpisodeBatch]) -> EpisodeBatch:
        """Let parts with the same B follow each other in time."""
        return cls(
            **{
                f.name: np.concatenate([getattr(part, f.name) for part in parts])
                for f in fields(cls)
            }
        )


class EpisodeSampler:
    """Draws batches of episodes.

    Classes are drawn uniformly and without replacement, their labels are a fresh permutation in
    each episode, pictures of a class are drawn without replacement, and the labelled pictures come
    in fully random order (not class after class). With synchronous labels the queries follow them,
    each of a class drawn uniformly.

    Args:
        sources: one for each of `config.tasks`.
        config: how episodes are made.
        training: whether parts are shortened at random (`config.shorten`).

    Raises:
        DataError: if the sources do not fit to the configuration or to each other.
    """

    def __init__(
        self, sources: Sequence[ImageSource], config: EpisodesConfig, *, training: bool
    ) -> None:
        if len(sources) != len(config.tasks):
            raise DataError(f"{len(config.tasks)} tasks need as many sources, not {len(sources)}")
        for task, source in zip(config.tasks, sources, strict=True):
            _check(task.name, source, config)
            if source.shape != sources[0].shape:
                raise DataError(
                    "the tasks of a sequence need pictures of one shape (H, W, C), and "
                    f"{config.tasks[0].name} has {sources[0].shape}, {task.name} {source.shape}: "
                    "set size and channels of both"
                )
        self.sources = tuple(sources)
        self.config = config
        self.training = training

    def draw(self, rng: np.random.Generator, batch: int) -> EpisodeBatch:
        """Draw B = `batch` episodes; the order and the lengths of their tasks are the same in all.

        T is n_way * k_shot for each task, and n_query more with synchronous labels. In training
        with delayed labels each task loses its last 0 to `shorten` positions.
        """
        order = np.arange(len(self.sources))
        if self.config.task_order == "random":
            order = rng.permutation(order)
        episodes = EpisodeBatch.join([self._part(int(task), rng, batch) for task in order])
        if self.config.labels == "delayed":
            episodes.label_in[1:] = episodes.target[:-1]
            episodes.label_in[0] = self._dummy
        return episodes

    @property
    def _dummy(self) -> int:
        return self.config.n_way if self.config.unknown_label else 0

    def _part(self, task: int, rng: np.random.Generator, batch: int) -> EpisodeBatch:
        """Draw one task's part, each picture with its own label but for the queries."""
        ways, shots = self.config.n_way, self.config.k_shot
        delayed = self.config.labels == "delayed"
        queries = 0 if delayed else self.config.n_query
        # The row of the class in its episode, [T, B]: each `shots` times, shuffled, then queries.
        support = np.repeat(np.arange(ways), shots)[:, None].repeat(batch, axis=1)
        support = rng.permuted(support, axis=0)
        if delayed and self.training:
            support = support[: len(support) - rng.integers(self.config.shorten + 1)]
        target = np.concatenate([support, rng.integers(ways, size=(queries, batch))])
        earlier = _earlier(target, ways)
        labelled = np.arange(len(target))[:, None] < np.full(batch, len(support))
        return EpisodeBatch(
            images=self._pictures(self.sources[task], target, earlier, rng),
            label_in=np.where(labelled, target, self._dummy),
            target=target,
            scored=np.full_like(labelled, True) if delayed else ~labelled,
            labelled=labelled,
            seen=np.where(labelled, earlier, shots),
            task=np.full(len(target), task),
        )

    def _pictures(
        self,
        source: ImageSource,
        target: NDArray[np.int64],
        earlier: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Draw the classes and the pictures of each position, uint8 [T, B, H, W, C]."""
        ways, batch = self.config.n_way, target.shape[1]
        # An ordered sample: the order is the fresh permutation of the labels.
        classes = np.stack([rng.choice(len(source.names), ways, False) for _ in range(batch)])
        images = np.empty((*target.shape, *source.shape), np.uint8)
        # Rows of (episode, class) that need the same number of pictures are drawn at once.
        row = np.arange(batch) * ways + target
        needed = np.bincount(row.reshape(-1), minlength=batch * ways)
        for count in np.unique(needed[needed > 0]):
            rows = np.flatnonzero(needed == count)
            drawn = source.draw(classes.reshape(-1)[rows], int(count), rng)
            here = needed[row] == count
            images[here] = drawn[np.searchsorted(rows, row[here]), earlier[here]]
        return images


def fixed_batches(
    sampler: EpisodeSampler, seed: int, batch: int, episodes: int
) -> Iterator[EpisodeBatch]:
    """Draw the same episodes whenever the arguments are the same, for validation and test.

    The last batch is smaller if `batch` does not divide `episodes`.
    """
    for number, start in enumerate(range(0, episodes, batch)):
        yield sampler.draw(np.random.default_rng([seed, number]), min(batch, episodes - start))


def _check(name: str, source: ImageSource, config: EpisodesConfig) -> None:
    """Check that a source has enough classes, and enough pictures of each."""
    if config.n_way > len(source.names):
        raise DataError(
            f"n_way {config.n_way} is more than the {len(source.names)} classes of {name}"
        )
    needed = config.k_shot + (config.n_query if config.labels == "synchronous" else 0)
    if source.smallest is not None and source.smallest < needed:
        parts = f"k_shot {config.k_shot}"
        if config.labels == "synchronous":
            parts += f" and n_query {config.n_query}"
        raise DataError(
            f"{parts} need {needed} pictures of each class, and a class of {name} has only "
            f"{source.smallest}"
        )


def _earlier(target: NDArray[np.int64], ways: int) -> NDArray[np.int64]:
    """Return how many positions before each one have the same class, [T, B]."""
    is_class = target[..., None] == np.arange(ways)
    before = np.cumsum(is_class, axis=0) - is_class
    earlier: NDArray[np.int64] = np.take_along_axis(before, target[..., None], axis=2)[..., 0]
    return earlier
