"""Everything that is refused before a run starts."""

from __future__ import annotations

from typing import Any

from agents import Agent
from envs import require_games
from launch.config.schema import RunConfig
from launch.errors import UserError
from launch.flow.build import build_agent
from learners import load_agent


def check(config: RunConfig, saved: dict[str, Any] | None = None) -> Agent:
    """Refuse before any work starts what would fail later; return the agent that it took.

    Raises:
        UserError: if the environments are not there, or do not go together with each other, with
            the network, or the network with the checkpoint.
    """
    try:
        require_games(config.envs)
        agent = build_agent(config)
        if saved:
            load_agent(agent, saved["learner"]["agent"])
    except ValueError as error:
        raise UserError(str(error)) from None
    return agent


def check_cluster(config: RunConfig) -> None:
    """Refuse a cluster's address that nobody answers at."""
    if config.launch.mode == "ray" and config.launch.address:
        from launch.cluster.connect import check_address  # Ray is imported only where it is used

        check_address(config.launch.address)
