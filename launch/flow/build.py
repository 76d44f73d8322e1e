"""Build the parts of a run from its configuration: environments, worker, network, learner."""

from __future__ import annotations

import numpy as np
import torch
from torch.distributed import ProcessGroup

from agents import Agent, make_agent
from envs import VectorEnv, env_spec, make_env
from launch.config.schema import LoadedConfig, RunConfig
from launch.flow.resources import acting_device, learning_device
from launch.flow.worker import RolloutWorker
from learners import Learner


def build_agent(config: LoadedConfig, device: str = "cpu") -> Agent:
    """Build the network; equal for equal seeds.

    Raises:
        ValueError: if the environments or the encoder do not go together.
    """
    spec = env_spec(config.envs)
    torch.manual_seed(config.seed)
    return make_agent(
        config.agent,
        spec.observation_shape,
        spec.num_actions,
        config.learner.unroll_length,
        device,
    )


def build_learner(config: RunConfig, group: ProcessGroup | None = None) -> Learner:
    """Build the learner, or one of a group."""
    device = learning_device(config)
    agent = build_agent(config, device)
    return Learner(agent, config.learner, config.total_frames, device, group)


def build_worker(config: RunConfig, index: int, restart: int = 0) -> RolloutWorker:
    """Build worker `index`.

    `restart` is another number each time the worker is started again, so that it does not play the
    same levels with the same luck again.
    """
    seed = int(np.random.SeedSequence([config.seed, index, restart]).generate_state(1)[0]) >> 1
    groups = build_environments(config, index, seed)
    agent = build_agent(config, acting_device(config))
    return RolloutWorker(groups, agent, config.learner.unroll_length, seed)


def build_environments(config: RunConfig, index: int, seed: int) -> list[VectorEnv]:
    """Build the environments of worker `index`; two halves where they step in threads of their own.

    The halves take turns: while one steps, the policy acts for the other.
    """
    begin, stop = (config.launch.envs_per_worker * i for i in (index, index + 1))
    middle = (begin + stop) // 2 if config.envs.threads else begin
    return [
        make_env(config.envs, until - since, seed=seed + number, offset=since)
        for number, (since, until) in enumerate([(begin, middle), (middle, stop)])
        if since < until
    ]
