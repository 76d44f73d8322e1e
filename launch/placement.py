"""The one place where `launch.mode` becomes a flow."""

from __future__ import annotations

from launch.config.schema import RunConfig
from launch.flow.base import Flow, FlowState


def make_flow(config: RunConfig, saved: FlowState | None = None) -> Flow:
    """Start the flow that `launch.mode` names, from what an earlier one saved if given."""
    if config.launch.mode == "local":
        from launch.flow.local import LocalFlow

        return LocalFlow(config, saved)
    from launch.cluster.flow import RayFlow  # Ray is imported only where it is used

    return RayFlow(config, saved)
