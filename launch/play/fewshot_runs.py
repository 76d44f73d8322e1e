"""Evaluate few-shot runs on the same episodes, and join those that differ in their seed only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from envs.fewshot.config import EpisodesConfig
from envs.fewshot.episodes import EpisodeSampler
from envs.fewshot.images import DataError, Split
from launch.config.fewshot import FewShotConfig
from launch.errors import UserError
from launch.flow.episodes import load_sampler
from launch.flow.resources import learning_device
from launch.play.fewshot import FewShotResult, Network, join_seeds, orders, try_network
from launch.prepare import check_classifier
from launch.run.folder import RunFolder

Opened = tuple[RunFolder, FewShotConfig]

# What else than the seed may differ between runs that are joined.
FREE = {"seed", "run_dir", "launch", "checkpoint", "log_every_frames"}


def evaluate_fewshot(
    runs: Sequence[RunFolder | str | Path],
    splits: Sequence[Split] = ("test",),
    episodes: int = 1000,
    k_shot: int | None = None,
    shuffle_labels: bool = False,
    checkpoint: str | None = None,
    console: Console | None = None,
) -> list[FewShotResult]:
    """Measure how well the networks of few-shot runs learn new classes.

    All runs answer the same episodes. Runs that differ in their seed only are joined to one
    result. Where there are several tasks, each of both orders has a result.

    Args:
        runs: the runs, or the paths of their folders.
        splits: whose classes are tried.
        episodes: how many for each run, split and order; at least 1.
        k_shot: labelled images of each class, at least 1; by default as in training.
        shuffle_labels: a control: the labels that go in say nothing about the images.
        checkpoint: `best` (on validation), `newest` or the number of its frames; by default the
            best where there is one.
        console: where a progress bar is shown if it is a terminal; by default nowhere.

    Raises:
        UserError: if a run is no few-shot run or has no such checkpoint, if two runs have the same
            configuration and seed, or if data are missing or too few.
    """
    groups = _join_alike([_open(run) for run in runs])
    load = cache(load_sampler)
    found = []
    with Progress(console=console, disable=not (console and console.is_terminal)) as progress:
        for group in groups:
            results = []
            for run, config in group:
                asked = with_shots(config.episodes, k_shot)
                try:
                    samplers = {split: load(asked, split) for split in splits}
                except DataError as error:
                    raise UserError(f"{run.path}: {error}") from None
                network = _network(run, config, samplers, checkpoint)
                total = episodes * sum(len(orders(sampler)) for sampler in samplers.values())
                bar = progress.add_task(str(run.path), total=total)
                results.append(
                    [
                        result
                        for split, sampler in samplers.items()
                        for result in try_network(
                            network,
                            sampler,
                            split,
                            episodes,
                            shuffle_labels,
                            partial(progress.advance, bar),
                        )
                    ]
                )
            found += [join_seeds(alike) for alike in zip(*results, strict=True)]
    return found


def with_shots(episodes: EpisodesConfig, k_shot: int | None) -> EpisodesConfig:
    """Return episodes with `k_shot` labelled images of each class; None: as they are."""
    return episodes.model_copy(update={"k_shot": k_shot or episodes.k_shot})


def _open(run: RunFolder | str | Path) -> Opened:
    folder, config = RunFolder.open_any(run.path if isinstance(run, RunFolder) else run)
    if not isinstance(config, FewShotConfig):
        raise UserError(f"{folder.path}: is a run that plays games, not a few-shot run")
    return folder, config


def _join_alike(opened: Sequence[Opened]) -> list[list[Opened]]:
    """Return the runs in groups that differ in their seed only."""
    groups: dict[str, list[Opened]] = {}
    for run, config in opened:
        alike = groups.setdefault(config.model_dump_json(exclude=FREE), [])
        for other, known in alike:
            if known.seed == config.seed:
                raise UserError(
                    f"{run.path}: has the configuration and the seed of {other.path}: "
                    "leave one of them out"
                )
        alike.append((run, config))
    return [*groups.values()]


def _network(
    run: RunFolder,
    config: FewShotConfig,
    samplers: Mapping[Split, EpisodeSampler],
    checkpoint: str | None,
) -> Network:
    """Load the network of a run."""
    choice = checkpoint or ("best" if run.has_best else "newest")
    saved = run.find_checkpoint(choice)
    sampler = next(iter(samplers.values()))
    classifier = check_classifier(config, sampler.sources[0].shape, saved)
    classifier.to(learning_device(config))
    return Network(classifier, str(run.path), config, choice, saved.frames)
