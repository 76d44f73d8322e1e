"""Trace: plays one episode and records what the agent and its fast weights do at each step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from agents import Actor, ActorStep, Agent, greedy
from agents.acting import ActionRule
from envs import EnvsConfig, Timestep, VectorEnv, make_env
from launch.flow.limit import check_length


class Trace(NamedTuple):
    """An episode of T actions: what was seen, earned and expected, and what the memory did."""

    obs: NDArray[np.generic]  # [T, ...], as the environment gives them
    reward: NDArray[np.float32]  # [T], unclipped; reward[t] answered the action at obs[t]
    value: NDArray[np.float32]  # [T], what the agent expected at obs[t]
    action: NDArray[np.int64]  # [T], what it did at obs[t]
    logits: NDArray[np.float32]  # [T, A], of the policy at obs[t]
    change: list[NDArray[np.float32]]
    """For each layer [T, H], the Frobenius norm of the update that each head made at obs[t]."""


def task_config(task: str, config: EnvsConfig) -> EnvsConfig:
    """Return the configuration that plays one of its tasks alone.

    Raises:
        ValueError: if it has no such task.
    """
    if task not in config.tasks:
        close = get_close_matches(task, config.tasks, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(config.tasks)}"
        raise ValueError(f"the run does not train on task {task!r}: {hint}")
    return config.model_copy(update={"tasks": (task,)})


def record(
    agent: Agent, envs: EnvsConfig, seed: int, advance: Callable[[], None] = lambda: None
) -> Trace:
    """Play the first episode of an environment, acting greedily as an evaluation does.

    Args:
        agent: on the CPU.
        envs: of the one task that is played.
        seed: of the environment.
        advance: called at every step.

    Raises:
        EnvFault: if the environment fails, or the episode does not end: see `launch.flow.limit`.
    """
    with closing(make_env(envs, 1, seed=seed)) as env:
        return play(agent, env, advance)


def play(
    agent: Agent,
    env: VectorEnv,
    watch: Callable[[], None] = lambda: None,
    most: int | None = None,
    rule: ActionRule = greedy,
) -> Trace:
    """Play the first episode of an environment that was just made.

    Args:
        agent: on the CPU.
        env: N = 1.
        watch: called at every step, while the environment shows its observation.
        most: steps, after which an episode that goes on is left; at least 1.
        rule: picks the actions.

    Raises:
        EnvFault: as `record`.
    """
    seen: list[Timestep] = []
    steps: list[ActorStep] = []
    actor = Actor(agent, 1, rule)
    start = actor.state
    now = env.observe().copy()
    while not seen or not (now.first or len(seen) == most):
        steps.append(actor.step(obs=now.obs, reward=now.reward, first=now.first))
        seen.append(now)
        watch()
        env.act(steps[-1].action)
        now = env.observe().copy()
        if not now.first:
            check_length(env.tasks[0], len(seen))
    obs = np.stack([timestep.obs for timestep in seen])
    reward = np.stack([timestep.reward for timestep in (*seen, now)])
    first = np.stack([timestep.first for timestep in seen])
    layers = agent.introspect(
        obs=torch.from_numpy(obs),
        reward=torch.from_numpy(reward[:-1]),
        first=torch.from_numpy(first),
        state=start,
    )
    return Trace(
        obs=obs[:, 0],
        reward=reward[1:, 0],
        value=np.concatenate([step.value for step in steps]),
        action=np.concatenate([step.action for step in steps]),
        logits=np.concatenate([step.logits for step in steps]),
        change=[layer.change[:, 0].numpy() for layer in layers],
    )
