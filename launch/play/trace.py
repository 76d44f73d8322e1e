"""One episode of an agent that modifies itself, recorded step by step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents import Agent
from envs import EnvsConfig, Timestep, make_env


class Trace(NamedTuple):
    """An episode of T actions: what was seen, earned and expected, and what the memory did."""

    obs: NDArray[np.generic]  # [T, ...], as the environment gives them
    reward: NDArray[np.float32]  # [T], unclipped; reward[t] answered the action at obs[t]
    value: NDArray[np.float32]  # [T], what the agent expected at obs[t]
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


@torch.inference_mode()
def record(
    agent: Agent, envs: EnvsConfig, seed: int, advance: Callable[[], None] = lambda: None
) -> Trace:
    """Play the first episode of an environment, acting greedily as an evaluation does.

    Args:
        agent: on the CPU, with a core that has fast weights.
        envs: of the one task that is played.
        seed: of the environment.
        advance: called after every step.
    """
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    values = []
    start = state = agent.initial_state(1)
    with closing(make_env(envs, 1, seed=seed)) as env:
        now = _tensors(env.observe())
        while not seen or not now[2]:
            output, state = agent(*now, state)
            seen.append(now)
            values.append(output.value.item())
            env.act(output.logits[0].argmax(-1).numpy())
            now = _tensors(env.observe())
            advance()
    obs, reward, first = (torch.cat(parts) for parts in zip(*seen, strict=True))
    layers = agent.introspect(obs, reward, first, start)
    return Trace(
        obs=obs[:, 0].numpy(),
        reward=torch.cat([reward[1:], now[1]])[:, 0].numpy(),
        value=np.array(values, np.float32),
        change=[layer.change[:, 0].numpy() for layer in layers],
    )


def _tensors(timestep: Timestep) -> tuple[Tensor, Tensor, Tensor]:
    """Return copies of obs, reward and first, each [1, 1, ...]."""
    obs, reward, first = (torch.from_numpy(np.array(x[None])) for x in timestep)
    return obs, reward, first
