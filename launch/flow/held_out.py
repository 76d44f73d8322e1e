"""Play held-out levels with the newest weights of a run."""

from __future__ import annotations

import statistics

from agents import Agent, evaluating
from envs import split_config
from launch.config.schema import RunConfig
from launch.flow.base import Trial, passes
from launch.flow.evaluate import evaluate, mean_normalised

SEED = 0  # of the environments: the same levels in every trial


def trial_is_due(config: RunConfig, before: int, after: int) -> bool:
    """Return whether an update from `before` to `after` frames is followed by a trial."""
    every = config.held_out.every_frames
    return every is not None and passes(every, before, after)


def play_held_out(config: RunConfig, agent: Agent) -> Trial:
    """Play complete episodes of every game greedily on levels that the run does not learn from.

    Nothing of the agent is changed, and nothing is drawn from a global generator: a run goes on as
    without the trial. The score is the mean normalised return, or the mean return where a game has
    no published range.

    Args:
        config: of the run.
        agent: on any device.

    Raises:
        EnvFault: if an environment fails, or an episode does not end.
    """
    wanted = config.held_out
    envs = split_config(wanted.split, config.envs)
    with evaluating(agent):
        scores = evaluate(agent, envs, wanted.split, wanted.episodes, SEED)
    metrics = {f"held_out/{score.task}": score.mean for score in scores}
    for score in scores:
        if score.normalised is not None:
            metrics[f"held_out_normalised/{score.task}"] = score.normalised
    mean = mean_normalised(scores)
    if mean is None:
        return Trial(statistics.fmean(score.mean for score in scores), metrics)
    return Trial(mean, metrics | {"held_out_normalised/mean": mean})
