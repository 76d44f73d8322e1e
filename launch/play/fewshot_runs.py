"""Evaluate few-shot runs on the same episodes, and join those that differ in their seed only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from envs.fewshot.config import EpisodesConfig
from envs.fewshot.episodes import EpisodeSampler
from envs.fewshot.images import DataError, Split
from launch.config.fewshot import FewShotConfig
from launch.errors import UserError
from launch.flow.episodes import SPLIT_SEEDS, load_sampler
from launch.flow.resources import learning_device
from launch.play.alike import join_alike
from launch.play.fewshot import FewShotResult, Network, join_seeds, orders, try_network
from launch.prepare import check_classifier
from launch.run.folder import RunFolder

Opened = tuple[RunFolder, FewShotConfig]


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
    groups = join_alike([open_fewshot(run) for run in runs])
    found = []
    with Progress(console=console, disable=not (console and console.is_terminal)) as progress:
        for group in groups:
            results = []
            for run, config in group:
                asked = with_shots(config.episodes, k_shot)
                samplers = {split: load_split(run, asked, split) for split in splits}
                choice = checkpoint or ("best" if run.has_best else "newest")
                network = load_network(run, config, _shape(samplers), choice)
                total = episodes * sum(len(orders(sampler)) for sampler in samplers.values())
                advance = partial(progress.advance, progress.add_task(str(run.path), total=total))
                results.append(
                    [
                        result
                        for split, sampler in samplers.items()
                        for result in try_network(
                            network, sampler, split, episodes, shuffle_labels, advance
                        )
                    ]
                )
            found += [join_seeds(alike) for alike in zip(*results, strict=True)]
    return found


def _shape(samplers: Mapping[Split, EpisodeSampler]) -> tuple[int, int, int]:
    """Return (H, W, C) of the images."""
    sampler, *_ = samplers.values()
    return sampler.sources[0].shape


def with_shots(episodes: EpisodesConfig, k_shot: int | None) -> EpisodesConfig:
    """Return episodes with `k_shot` labelled images of each class; None: as they are."""
    return episodes.model_copy(update={"k_shot": k_shot or episodes.k_shot})


def open_fewshot(run: RunFolder | str | Path) -> Opened:
    """Open a few-shot run and read its configuration.

    Raises:
        UserError: if there is none, or it is of the other kind.
    """
    folder, config = RunFolder.open_any(run.path if isinstance(run, RunFolder) else run)
    if not isinstance(config, FewShotConfig):
        raise UserError(f"{folder.path}: is a run that plays games, not a few-shot run")
    return folder, config


def split_name(name: str) -> Split:
    """Return the split of this name.

    Raises:
        UserError: if there is none.
    """
    for split in SPLIT_SEEDS:
        if split == name:
            return split
    raise UserError(f"split {name!r}: use one of {', '.join(SPLIT_SEEDS)}")


def load_split(run: RunFolder, episodes: EpisodesConfig, split: Split) -> EpisodeSampler:
    """Return what draws a run's episodes from the classes of a split.

    Raises:
        UserError: if data are missing or too few.
    """
    try:
        return load_sampler(episodes, split)
    except DataError as error:
        raise UserError(f"{run.path}: {error}") from None


def load_network(
    run: RunFolder, config: FewShotConfig, shape: tuple[int, int, int], checkpoint: str
) -> Network:
    """Load the network of a run for images (H, W, C) to where it learns.

    Raises:
        UserError: if the run has no such checkpoint, or it is of another network.
    """
    saved = run.find_checkpoint(checkpoint)
    classifier = check_classifier(config, shape, saved).to(learning_device(config))
    return Network(classifier, str(run.path), config, checkpoint, saved.frames)
