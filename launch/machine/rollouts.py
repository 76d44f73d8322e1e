"""Make random observations and batches, for measuring parts without environments."""

from __future__ import annotations

import numpy as np

from agents import Agent
from envs import env_spec
from launch.config.schema import RunConfig
from learners import Rollout


def random_obs(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return noise [*shape]: all values of uint8, or a normal distribution."""
    rng = np.random.default_rng(0)
    if np.dtype(dtype) == np.uint8:
        return rng.integers(256, size=shape, dtype=np.uint8)
    return rng.standard_normal(shape).astype(dtype)


def random_pieces(config: RunConfig, agent: Agent, learners: int = 1) -> list[Rollout]:
    """Return a batch as the learner of `config` gets it, or one of several: what workers have."""
    batch, envs = random_batch(config, agent), config.launch.envs_per_worker
    batch = batch.columns(0, batch.num_envs // learners)
    return [
        batch.columns(start, min(start + envs, batch.num_envs))
        for start in range(0, batch.num_envs, envs)
    ]


def random_batch(config: RunConfig, agent: Agent) -> Rollout:
    """Return the unrolls of a batch in one piece; an episode opens in their middle."""
    steps, envs = config.learner.unroll_length, config.learner.batch_size
    spec = env_spec(config.envs)
    rng = np.random.default_rng(config.seed)
    first = np.zeros((steps + 1, envs), np.bool_)
    first[steps // 2] = True
    return Rollout(
        obs=random_obs((steps + 1, envs, *spec.observation_shape), spec.observation_dtype),
        reward=np.zeros((steps + 1, envs), np.float32),
        first=first,
        action=rng.integers(spec.num_actions, size=(steps, envs)),
        logits=np.zeros((steps, envs, spec.num_actions), np.float32),
        final_value=np.zeros((steps, envs), np.float32),
        version=np.zeros(envs, np.int64),
        state=tuple(tensor.cpu().numpy() for tensor in agent.initial_state(envs)),
    )
