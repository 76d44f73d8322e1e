"""Evaluation: losses and right answers of a classifier on given episodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from agents import Classifier, evaluating
from learners.supervised.batch import SupervisedBatch
from learners.supervised.losses import cross_entropy


class Evaluation(NamedTuple):
    """What a classifier says of E episodes of T positions, as arrays."""

    correct: NDArray[np.bool_]  # [T, E], whether the likeliest class is the right one
    loss: NDArray[np.float32]  # [T, E], cross-entropy in nats
    scored: NDArray[np.bool_]  # [T, E], positions that count
    seen: NDArray[np.int64]  # [T, E], examples of the class seen before
    task: NDArray[np.int64]  # [T], which task of the sequence it is

    @classmethod
    def join(cls, parts: Sequence[Evaluation]) -> Evaluation:
        """Put the episodes of all parts side by side.

        Raises:
            ValueError: if there is none, or they are not alike: see `evaluate`.
        """
        if not parts or not all(np.array_equal(part.task, parts[0].task) for part in parts):
            raise ValueError(
                "an evaluation needs batches of one form: the same tasks at each position"
            )
        correct, loss, scored, seen, _ = (
            np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)
        )
        return cls(correct, loss, scored, seen, parts[0].task)


@torch.no_grad()
def evaluate(classifier: Classifier, batches: Iterable[SupervisedBatch]) -> Evaluation:
    """Put the episodes of all batches side by side and say how the classifier does on each.

    Without dropout, and BatchNorm by its running statistics. Nothing of the classifier is changed.

    Args:
        classifier: on the batches' device.
        batches: one at least, and all with the same tasks at the same positions.

    Raises:
        ValueError: if there is none, or they are not alike.
    """
    parts = []
    with evaluating(classifier):
        for batch in batches:
            logits = classifier(batch.images, batch.label_in).logits
            correct = logits.argmax(-1) == batch.target
            losses = cross_entropy(logits, batch.target).float()
            fields = (correct, losses, batch.scored, batch.seen, batch.task)
            parts.append(Evaluation(*(tensor.cpu().numpy() for tensor in fields)))
    return Evaluation.join(parts)
