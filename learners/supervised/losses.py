"""The losses of few-shot learning, and the accuracy by the number of examples seen."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from learners.supervised.batch import SupervisedBatch


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return -log softmax(logits)[target] of each position, [T, B].

    Args:
        logits: [T, B, N].
        target: [T, B], int64.

    Raises:
        ValueError: if the shapes do not belong together.
    """
    if logits.dim() != 3 or logits.shape[:2] != target.shape:
        raise ValueError(f"logits {list(logits.shape)} do not fit to target {list(target.shape)}")
    losses = functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    return losses.view_as(target)


def prototype_logits(features: Tensor, batch: SupervisedBatch, n_way: int) -> Tensor:
    """Return what a prototypical network predicts from a backbone's features (Snell et al. 2017).

    A class's prototype is the mean of the features of its earlier images in the sequence whose
    label goes in: what the core can know of the class when it answers. The logits are minus the
    squared Euclidean distances to the prototypes, but for a term that all classes share,
    |feature|^2. The classes are those of the position's own task.

    Args:
        features: [T, B, F].
        batch: whose labels and tasks they belong to.
        n_way: N, the classes of a task.

    Returns:
        [T, B, N]; -inf for a class without such an image.
    """
    tasks = functional.one_hot(batch.task).to(features.dtype)  # [T, K]
    classes = functional.one_hot(batch.target, n_way).to(features.dtype)
    members = classes * batch.labelled.unsqueeze(-1)
    # [T, T]: whether the second position is an earlier one of the same task.
    earlier = (tasks @ tasks.T).tril(-1)
    sums = torch.einsum("ts,sbn,sbf->tbnf", earlier, members, features)
    counts = torch.einsum("ts,sbn->tbn", earlier, members)
    prototypes = sums / counts.clamp(min=1).unsqueeze(-1)
    products = torch.einsum("tbf,tbnf->tbn", features, prototypes)
    return (2 * products - prototypes.square().sum(-1)).masked_fill(counts == 0, -torch.inf)


def hits_by_shot(correct: Tensor, scored: Tensor, seen: Tensor) -> Tensor:
    """Count right answers and answers by the number of examples seen before.

    Args:
        correct: [T, B], bool.
        scored: [T, B], bool; what else is not counted.
        seen: [T, B], int64, 0..T.

    Returns:
        [2, T + 1], float64: hits and answers after 0, 1, ... examples.
    """
    size = len(seen) + 1
    answers = torch.bincount(seen[scored], minlength=size)
    hits = torch.bincount(seen[scored & correct], minlength=size)
    return torch.stack([hits, answers]).double()
