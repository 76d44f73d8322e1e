"""Choose and start the flow that `launch.mode` names."""

from __future__ import annotations

from launch.config.fewshot import FewShotConfig
from launch.config.schema import RunConfig
from launch.flow.base import Flow, FlowState
from launch.flow.episodes import Data


def make_flow(config: RunConfig, saved: FlowState | None = None) -> Flow:
    """Start the flow that `launch.mode` names, from what an earlier one saved if given."""
    if config.launch.mode == "local":
        from launch.flow.local import LocalFlow

        return LocalFlow(config, saved)
    from launch.cluster.flow import RayFlow  # Ray is imported only where it is used

    return RayFlow(config, saved)


def make_fewshot_flow(config: FewShotConfig, data: Data, saved: FlowState | None = None) -> Flow:
    """Start the flow of a few-shot run, from what an earlier one saved if given.

    Args:
        config: of the run.
        data: what `launch.flow.episodes.load_data` returned.
        saved: the state to go on from.
    """
    if config.launch.mode == "local":
        from launch.flow.supervised import SupervisedFlow

        return SupervisedFlow(config, data, saved)
    from launch.cluster.supervised import RaySupervisedFlow

    return RaySupervisedFlow(config, data, saved)
