"""The rollout worker: environments, a copy of the policy, and nothing of Ray."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from agents import Agent, sample
from envs import Episode, EpisodeTracker, VectorEnv
from learners import Rollout, Weights, load_agent


class RolloutInfo(NamedTuple):
    """What the driver needs to know of a rollout without opening it."""

    num_envs: int
    episodes: list[Episode]  # that ended in it
    seconds: float  # that it took


class RolloutWorker:
    """Steps N environments with the policy it was last given."""

    def __init__(self, env: VectorEnv, agent: Agent, unroll_length: int, seed: int) -> None:
        self.env = env
        self.agent = agent.eval()
        self.unroll_length = unroll_length
        self.generator = torch.Generator().manual_seed(seed)
        self.tracker = EpisodeTracker(env.tasks)
        self.state = agent.initial_state(env.num_envs)
        self.version = -1

    @torch.inference_mode()
    def rollout(self, weights: Weights) -> tuple[Rollout, RolloutInfo]:
        """Act for `unroll_length` steps with `weights`."""
        started = time.perf_counter()
        if weights.version != self.version:
            parameters = {k: _tensor(v) for k, v in weights.parameters.items()}
            load_agent(self.agent, parameters)
            self.version = weights.version
        rollout = self._empty()
        for into, carried in zip(rollout.state, self.state, strict=True):
            into[:] = carried.numpy()
        episodes = []
        for t in range(self.unroll_length):
            obs, reward, first = self._record(rollout, t)
            output, self.state = self.agent(obs, reward, first, self.state)
            action = sample(output.logits[0], self.generator).numpy()
            self.env.act(action)
            rollout.logits[t] = output.logits[0].numpy()
            rollout.action[t] = action
            _, reward_after, first_after = self.env.observe()
            episodes += self.tracker.step(reward_after, first_after)
        self._record(rollout, self.unroll_length)
        return rollout, RolloutInfo(self.env.num_envs, episodes, time.perf_counter() - started)

    def save(self) -> dict[str, Any] | None:
        """Return all that `restore` needs, or None if the environments cannot be saved."""
        envs = self.env.save()
        if envs is None:
            return None
        return {
            "envs": envs,
            "core": list(self.state),
            "generator": self.generator.get_state(),
            "tracker": self.tracker.state(),
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Continue from `save()`, its arrays as tensors."""
        self.env.restore([state.numpy().tobytes() for state in tree["envs"]])
        self.state = tuple(tree["core"])
        self.generator.set_state(tree["generator"])
        self.tracker.load({name: value.numpy() for name, value in tree["tracker"].items()})

    def close(self) -> None:
        """Close the environments."""
        self.env.close()

    def _empty(self) -> Rollout:
        """Allocate a rollout: a new one each time, because the last one may still be read."""
        steps, envs, spec = self.unroll_length, self.env.num_envs, self.env.spec
        return Rollout(
            obs=np.empty((steps + 1, envs, *spec.observation_shape), spec.observation_dtype),
            reward=np.empty((steps + 1, envs), np.float32),
            first=np.empty((steps + 1, envs), np.bool_),
            action=np.empty((steps, envs), np.int64),
            logits=np.empty((steps, envs, spec.num_actions), np.float32),
            version=np.full(envs, self.version, np.int64),
            state=tuple(np.empty(tensor.shape, np.float32) for tensor in self.state),
        )

    def _record(self, rollout: Rollout, t: int) -> tuple[torch.Tensor, ...]:
        """Copy the current observation to row `t`; return that row as an unroll of length 1."""
        rollout.obs[t], rollout.reward[t], rollout.first[t] = self.env.observe()
        return tuple(torch.from_numpy(field[t : t + 1]) for field in rollout[:3])


def _tensor(array: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.array(array))
