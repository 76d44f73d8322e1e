"""Prepare a run: refuse before it starts what would fail later, and resolve what is `auto`."""

from __future__ import annotations

import torch

from agents import Agent, Classifier
from envs import require_games
from envs.faults import EnvFault
from launch.config.fewshot import FewShotConfig
from launch.config.schema import LoadedConfig, RunConfig
from launch.config.source import AnyConfig
from launch.errors import UserError
from launch.flow.build import build_agent
from launch.flow.episodes import Data, build_classifier, load_data
from launch.job import AnyJob, Job, fewshot_job, policy_job
from launch.machine.auto import resolve_auto
from launch.run.folder import RunFolder
from launch.run.saved import Saved
from learners import load_agent
from learners.network_state import check_optimiser


def prepare_any(
    config: AnyConfig, run: RunFolder | None = None, saved: Saved | None = None
) -> AnyJob:
    """Prepare a run of either kind: see `prepare` and `prepare_fewshot`."""
    if isinstance(config, FewShotConfig):
        return prepare_fewshot(config, run, saved)
    return prepare(config, run, saved)


def prepare(
    config: LoadedConfig, run: RunFolder | None = None, saved: Saved | None = None
) -> Job[RunConfig]:
    """Check all that a run of `config` needs, the quickest and likeliest first; then measure.

    Args:
        config: the configuration as it was loaded.
        run: the folder that will be written to, if any.
        saved: the checkpoint to go on from, if any.

    Raises:
        UserError: as `check` does, if nobody answers at `launch.address`, if the folder cannot be
            written, or if no number would do for what is `auto`.
        RunError: if measuring for `auto` fails.
    """
    agent = check(config, saved)
    _check_place(config, run)
    return policy_job(resolve_auto(config), agent)


def prepare_fewshot(
    config: FewShotConfig, run: RunFolder | None = None, saved: Saved | None = None
) -> Job[FewShotConfig]:
    """Check all that a few-shot run needs, and load its data.

    The arguments are those of `prepare`.

    Raises:
        UserError: as `check_fewshot` does, if nobody answers at `launch.address`, or if the folder
            cannot be written.
    """
    classifier, data = check_fewshot(config, saved)
    _check_place(config, run)
    return fewshot_job(config, classifier, data)


def check(config: LoadedConfig, saved: Saved | None = None) -> Agent:
    """Check environments, network and checkpoint; return the agent, with the saved weights if any.

    Raises:
        UserError: if the environments are not installed, cannot be made, or do not go together with
            each other or with the network, or the network does not go with the checkpoint.
    """
    try:
        require_games(config.envs)
        agent = build_agent(config)
        if saved:
            load_agent(agent, saved.flow.learner["agent"])
            check_optimiser(agent, saved.flow.learner["optimiser"])
    except (ValueError, EnvFault) as error:
        raise UserError(str(error)) from None
    return agent


def check_fewshot(config: FewShotConfig, saved: Saved | None = None) -> tuple[Classifier, Data]:
    """Load the data and build the network; return it with the saved weights, if any.

    Raises:
        UserError: if data are missing or do not fit to the episodes, or the network does not go
            with the images or with the checkpoint.
    """
    try:
        data = load_data(config.episodes)
    except ValueError as error:
        raise UserError(str(error)) from None
    return check_classifier(config, data.shape, saved), data


def check_classifier(
    config: FewShotConfig, shape: tuple[int, int, int], saved: Saved | None = None
) -> Classifier:
    """Build the network of a few-shot run for images (H, W, C), with the saved weights if any.

    Raises:
        UserError: if the network does not go with the images or with the checkpoint.
    """
    try:
        torch.manual_seed(config.seed)
        classifier = build_classifier(config, shape)
        if saved:
            load_agent(classifier, saved.flow.learner["agent"])
            check_optimiser(classifier, saved.flow.learner["optimiser"])
    except ValueError as error:
        raise UserError(str(error)) from None
    return classifier


def _check_place(config: AnyConfig, run: RunFolder | None) -> None:
    """Refuse a cluster's address at which nobody answers, and a folder that cannot be written."""
    if run:
        run.refuse_unwritable()
    if config.launch.mode == "ray" and config.launch.address:
        from launch.cluster.connect import check_address  # Ray is imported only where it is used

        check_address(config.launch.address)
