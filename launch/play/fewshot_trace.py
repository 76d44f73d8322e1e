"""Few-shot trace: records one episode, its answers, and what the fast weights do at each image."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from agents import Classifier, evaluating
from envs.fewshot.episodes import EpisodeBatch
from launch.errors import UserError
from launch.flow.episodes import SPLIT_SEEDS
from launch.play.fewshot_runs import load_network, load_split, open_fewshot, split_name
from learners.supervised import make_batch


class FewShotTrace(NamedTuple):
    """An episode of T images: what went in, what was answered, and what the memory did."""

    images: NDArray[np.uint8]  # [T, H, W, C]
    label_in: NDArray[np.int64]  # [T], the label that went in with the image
    target: NDArray[np.int64]  # [T], the image's own label
    answer: NDArray[np.int64]  # [T], the likeliest label
    scored: NDArray[np.bool_]  # [T], whether the answer counts
    task: NDArray[np.int64]  # [T], which task of the sequence it is
    unknown: int | None  # the label that stands for "no label", if there is one
    change: list[NDArray[np.float32]]
    """For each layer [T, H], the Frobenius norm of the update that each head made at the image."""

    @property
    def right(self) -> NDArray[np.bool_]:
        """[T], whether the answer is the image's own label."""
        return self.answer == self.target


def record(classifier: Classifier, episode: EpisodeBatch) -> FewShotTrace:
    """Let a network answer an episode, and record it.

    Args:
        classifier: on the CPU, with a core that has fast weights.
        episode: a batch of one.
    """
    batch = make_batch(episode)
    with torch.no_grad(), evaluating(classifier):
        answer = classifier(batch.images, batch.label_in).logits.argmax(-1)
    layers = classifier.introspect(batch.images, batch.label_in)
    return FewShotTrace(
        images=episode.images[:, 0],
        label_in=episode.label_in[:, 0],
        target=episode.target[:, 0],
        answer=answer[:, 0].numpy(),
        scored=episode.scored[:, 0],
        task=episode.task,
        unknown=classifier.n_way if classifier.label_symbols > classifier.n_way else None,
        change=[layer.change[:, 0].numpy() for layer in layers],
    )


def trace_run(run: str | Path, split: str, checkpoint: str, seed: int) -> tuple[FewShotTrace, str]:
    """Record an episode of a few-shot run, and say what it is in words.

    Args:
        run: its folder.
        split: whose classes are shown.
        checkpoint: `newest`, `best` or the number of its frames.
        seed: of the episode.

    Raises:
        UserError: if the run has no such checkpoint, its core has no fast weights, there is no such
            split, or data are missing.
    """
    name = split_name(split)
    folder, config = open_fewshot(run)
    sampler = load_split(folder, config.episodes, name)
    network = load_network(folder, config, sampler.sources[0].shape, checkpoint)
    rng = np.random.default_rng([SPLIT_SEEDS[name], seed])
    trace = record(network.classifier.cpu(), sampler.draw(rng, 1))
    if not trace.change:
        raise UserError(
            f"classifier.core {config.core!r} has no fast weights: there is nothing to trace"
        )
    note = (
        f"core {config.core} after {network.frames:,} images; {name} classes of "
        f"{' then '.join(task.name for task in config.episodes.tasks)}, episode {seed}"
    )
    return trace, note
