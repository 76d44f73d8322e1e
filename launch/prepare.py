"""Prepare a run: refuse before it starts what would fail later, and resolve what is `auto`."""

from __future__ import annotations

from typing import NamedTuple

from agents import Agent
from envs import require_games
from launch.config.schema import LoadedConfig, RunConfig
from launch.errors import UserError
from launch.flow.build import build_agent
from launch.machine.auto import resolve_auto
from launch.run.folder import RunFolder
from launch.run.saved import Saved
from learners import load_agent


class Prepared(NamedTuple):
    """What a flow and its driver start from."""

    config: RunConfig
    agent: Agent  # with the weights of the checkpoint, if there is one
    saved: Saved | None  # the checkpoint


def prepare(
    config: LoadedConfig, run: RunFolder | None = None, saved: Saved | None = None
) -> Prepared:
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
    _check_cluster(config)
    if run:
        run.refuse_unwritable()
    return Prepared(resolve_auto(config), agent, saved)


def check(config: LoadedConfig, saved: Saved | None = None) -> Agent:
    """Check environments, network and checkpoint; return the agent, with the saved weights if any.

    Raises:
        UserError: if the environments are not installed, or do not go together with each other or
            with the network, or the network does not go with the checkpoint.
    """
    try:
        require_games(config.envs)
        agent = build_agent(config)
        if saved:
            load_agent(agent, saved.flow.learner["agent"])
    except ValueError as error:
        raise UserError(str(error)) from None
    return agent


def _check_cluster(config: LoadedConfig) -> None:
    """Refuse a cluster's address at which nobody answers."""
    if config.launch.mode == "ray" and config.launch.address:
        from launch.cluster.connect import check_address  # Ray is imported only where it is used

        check_address(config.launch.address)
