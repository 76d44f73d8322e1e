"""Few-shot evaluation: accuracies of a classifier by task, examples seen and position."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents import Classifier
from agents.classifier_config import BackboneConfig
from envs.fewshot.config import EpisodesConfig
from envs.fewshot.episodes import EpisodeBatch, EpisodeSampler, fixed_batches
from envs.fewshot.images import Split
from launch.config.fewshot import FewShotConfig
from launch.flow.episodes import EVALUATION_BATCH, SPLIT_SEEDS
from launch.play.intervals import Estimate, estimate_accuracy, student_estimate
from learners.supervised import Evaluation, evaluate, make_batch


class TaskScore(NamedTuple):
    """The accuracy in one task of the episodes; the intervals are over episodes."""

    task: str  # the name of its data set
    overall: Estimate
    by_shot: dict[int, Estimate]  # by how many examples of the class were seen before
    by_position: dict[int, Estimate]  # by the position in the whole sequence, from 0


class FewShotResult(NamedTuple):
    """The accuracies of one network, or of several that differ in their seed only.

    Of several, a mean is over networks, and the interval is over seeds.
    """

    runs: tuple[str, ...]
    core: str
    backbone: str
    n_way: int
    k_shot: int
    trained_k_shot: int
    n_query: int | None  # None with delayed labels
    labels: str
    shuffled: bool  # whether the labels said nothing about the images: a control
    split: str
    order: tuple[str, ...]  # of the tasks in the sequence
    episodes: int  # for each network
    checkpoint: str  # which one: best, newest or its frames
    frames: tuple[int, ...]  # images that each network had learnt from
    seeds: tuple[int, ...]
    tasks: tuple[TaskScore, ...]


class Network(NamedTuple):
    """A trained network, and where it is from."""

    classifier: Classifier
    run: str
    config: FewShotConfig
    checkpoint: str
    frames: int


def orders(sampler: EpisodeSampler) -> list[EpisodeSampler]:
    """Return the sampler and, where there are several tasks, one with the tasks in reverse."""
    tasks = sampler.config.tasks
    if tasks == tasks[::-1]:
        return [sampler]
    config = sampler.config.model_copy(update={"tasks": tasks[::-1]})
    return [sampler, EpisodeSampler(sampler.sources[::-1], config, training=False)]


def try_network(
    network: Network,
    sampler: EpisodeSampler,
    split: Split,
    episodes: int,
    shuffle: bool = False,
    advance: Callable[[int], None] = lambda episodes: None,
) -> list[FewShotResult]:
    """Return the accuracies of one network, for each order of the tasks.

    Args:
        network: on any device.
        sampler: draws episodes of the split's classes.
        split: its name.
        episodes: how many of the split's fixed episodes, from the first.
        shuffle: whether the labels are shuffled, see `shuffle_labels`.
        advance: called with the number of episodes after each batch of them.
    """
    classifier, run, config, checkpoint, frames = network
    ours = config.episodes
    results = []
    for ordered, order in zip(orders(sampler), _task_orders(ours), strict=False):
        found = _answer(classifier, draw_fixed(ordered, split, episodes, shuffle), advance)
        results.append(
            FewShotResult(
                runs=(run,),
                core=config.core,
                backbone=_backbone_name(config.classifier.backbone),
                n_way=ours.n_way,
                k_shot=ordered.config.k_shot,
                trained_k_shot=ours.k_shot,
                n_query=ours.n_query if ours.labels == "synchronous" else None,
                labels=ours.labels,
                shuffled=shuffle,
                split=split,
                order=order,
                episodes=episodes,
                checkpoint=checkpoint,
                frames=(frames,),
                seeds=(config.seed,),
                tasks=tuple(score_tasks(found, order)),
            )
        )
    return results


def _task_orders(config: EpisodesConfig) -> list[tuple[str, ...]]:
    """Return the names of the tasks, as configured and in reverse; equal names are numbered."""
    names = [task.name for task in config.tasks]
    told = tuple(
        f"{name} {number}" if names.count(name) > 1 else name
        for number, name in enumerate(names, 1)
    )
    return [told, told[::-1]]


def _backbone_name(config: BackboneConfig) -> str:
    return f"{config.name} x{config.channels}" if config.name == "conv4" else config.name


def draw_fixed(
    sampler: EpisodeSampler, split: Split, episodes: int, shuffle: bool = False
) -> Iterator[EpisodeBatch]:
    """Draw the fixed episodes of a split, the same for every run and core."""
    seed = SPLIT_SEEDS[split]
    rng = np.random.default_rng(seed)
    for batch in fixed_batches(sampler, seed, EVALUATION_BATCH, episodes):
        if shuffle:
            shuffle_labels(batch, rng)
        yield batch


def shuffle_labels(batch: EpisodeBatch, rng: np.random.Generator) -> None:
    """Permute the labels that go in, within each task of each episode, in place.

    They then say nothing about the images, though each is as frequent as before. What a network
    still knows, it has not learnt from the labels of the sequence.
    """
    if (batch.labelled & batch.scored).any():  # delayed: a label goes in after the answer
        positions = np.arange(1, len(batch.task))
        owner = batch.task[:-1]
    else:
        positions = np.flatnonzero(batch.labelled.any(axis=1))
        owner = batch.task[positions]
    for task in np.unique(owner):
        here = positions[owner == task]
        batch.label_in[here] = rng.permuted(batch.label_in[here], axis=0)


def score_tasks(found: Evaluation, names: Sequence[str]) -> list[TaskScore]:
    """Return the accuracies of each task.

    Args:
        found: what the classifier answered in E episodes.
        names: of the tasks, in the order of their numbers in `found.task`.
    """
    scores = []
    for number, name in enumerate(names):
        scored = found.scored & (found.task == number)[:, None]
        shots = [int(seen) for seen in np.unique(found.seen[scored])]
        positions = [int(position) for position in np.flatnonzero(scored.any(axis=1))]
        rows = np.arange(len(scored))[:, None]
        scores.append(
            TaskScore(
                name,
                _estimate(found.correct, scored),
                {s: _estimate(found.correct, scored & (found.seen == s)) for s in shots},
                {p: _estimate(found.correct, scored & (rows == p)) for p in positions},
            )
        )
    return scores


def join_seeds(results: Sequence[FewShotResult]) -> FewShotResult:
    """Join the results of networks that differ in their seed only.

    Each mean is over networks, each interval over them by Student's t: it says what another seed
    would give, which the episodes of one network cannot say.
    """
    first, *others = results
    if not others:
        return first
    return first._replace(
        runs=tuple(run for result in results for run in result.runs),
        frames=tuple(frames for result in results for frames in result.frames),
        seeds=tuple(seed for result in results for seed in result.seeds),
        tasks=tuple(map(_join_task, zip(*(result.tasks for result in results), strict=True))),
    )


def _join_task(scores: Sequence[TaskScore]) -> TaskScore:
    def join(estimates: Sequence[Estimate]) -> Estimate:
        return student_estimate([estimate.mean for estimate in estimates])

    first = scores[0]
    return TaskScore(
        first.task,
        join([score.overall for score in scores]),
        {shot: join([score.by_shot[shot] for score in scores]) for shot in first.by_shot},
        {at: join([score.by_position[at] for score in scores]) for at in first.by_position},
    )


def _answer(
    classifier: Classifier, batches: Iterator[EpisodeBatch], advance: Callable[[int], None]
) -> Evaluation:
    device = next(classifier.parameters()).device

    def watched() -> Iterator[EpisodeBatch]:
        for batch in batches:
            yield batch
            advance(batch.target.shape[1])

    return evaluate(classifier, (make_batch(batch, device) for batch in watched()))


def _estimate(correct: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> Estimate:
    """Estimate the mean over episodes of the share of `chosen` positions that are `correct`."""
    answers = chosen.sum(axis=0)
    hits = (correct & chosen).sum(axis=0)
    return estimate_accuracy(hits[answers > 0] / answers[answers > 0])
