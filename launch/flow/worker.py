"""Rollout worker: steps environments with the current policy, in rollouts of T steps."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from agents import Actor, Agent, sampler
from envs import EpisodeTracker, VectorEnv
from launch.flow.base import RolloutInfo
from learners import Rollout, Weights, load_agent, pinned


class RolloutWorker:
    """Steps N environments with the policy it was last given.

    Where environments step in threads of their own they come in several groups that take turns: the
    policy acts for one group while the others step.

    Args:
        groups: the environments; together they are the N of a rollout, in this order.
        agent: the policy, on the device where it acts.
        unroll_length: T.
        seed: of the generator that draws actions.
    """

    def __init__(
        self, groups: Sequence[VectorEnv], agent: Agent, unroll_length: int, seed: int
    ) -> None:
        self.groups = tuple(groups)
        stops = itertools.accumulate(env.num_envs for env in self.groups)
        self._columns = [
            (stop - env.num_envs, stop) for env, stop in zip(self.groups, stops, strict=True)
        ]
        self.tasks = tuple(task for env in self.groups for task in env.tasks)
        self.num_envs = len(self.tasks)
        self.agent = agent
        self.device = next(agent.parameters()).device
        self.unroll_length = unroll_length
        self.generator = torch.Generator().manual_seed(seed)
        self.tracker = EpisodeTracker(self.tasks)
        rule = sampler(self.generator)
        self.actors = [Actor(agent, env.num_envs, rule) for env in self.groups]
        self.version = -1

    def rollout(self, weights: Weights) -> tuple[Rollout, RolloutInfo]:
        """Act for `unroll_length` steps with `weights`."""
        started = time.perf_counter()
        if weights.version != self.version:
            load_agent(self.agent, weights.state_dict)
            self.version = weights.version
        rollout = self._empty()
        parts = [rollout.columns(*columns) for columns in self._columns]
        for part, actor in zip(parts, self.actors, strict=True):
            for into, carried in zip(part.state, actor.state, strict=True):
                into[:] = carried.cpu().numpy()
        for t in range(self.unroll_length):
            for env, actor, part in zip(self.groups, self.actors, parts, strict=True):
                _act(env, actor, part, t)
        for env, actor, part in zip(self.groups, self.actors, parts, strict=True):
            _record(env, actor, part, self.unroll_length)
        episodes = []
        for reward, first in zip(rollout.reward[1:], rollout.first[1:], strict=True):
            episodes += self.tracker.step(reward, first)
        return rollout, RolloutInfo(self.num_envs, episodes, time.perf_counter() - started)

    def save(self) -> dict[str, Any] | None:
        """Return all that `restore` needs, or None if the environments cannot be saved."""
        envs: list[bytes] = []
        for env in self.groups:
            states = env.save()
            if states is None:
                return None
            envs += states
        return {
            "envs": envs,
            "core": [
                torch.cat(parts)
                for parts in zip(*(actor.state for actor in self.actors), strict=True)
            ],
            "generator": self.generator.get_state(),
            "tracker": self.tracker.state(),
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Continue from `save()`, its arrays as tensors."""
        for env, (start, stop) in zip(self.groups, self._columns, strict=True):
            env.restore([state.numpy().tobytes() for state in tree["envs"][start:stop]])
        core = [tensor.to(self.device) for tensor in tree["core"]]
        for actor, columns in zip(self.actors, self._columns, strict=True):
            actor.state = tuple(part[slice(*columns)] for part in core)
        self.generator.set_state(tree["generator"])
        self.tracker.load({name: value.numpy() for name, value in tree["tracker"].items()})

    def close(self) -> None:
        """Close the environments."""
        for env in self.groups:
            env.close()

    def _empty(self) -> Rollout:
        """Allocate a rollout: a new one each time, because the last one may still be read."""
        steps, envs, spec = self.unroll_length, self.num_envs, self.groups[0].spec
        empty = pinned if self.device.type == "cuda" else np.empty
        return Rollout(
            obs=empty((steps + 1, envs, *spec.observation_shape), spec.observation_dtype),
            reward=np.empty((steps + 1, envs), np.float32),
            first=np.empty((steps + 1, envs), np.bool_),
            action=np.empty((steps, envs), np.int64),
            logits=np.empty((steps, envs, spec.num_actions), np.float32),
            final_value=np.zeros((steps, envs), np.float32),
            version=np.full(envs, self.version, np.int64),
            state=tuple(
                np.empty((envs, *tensor.shape[1:]), np.float32) for tensor in self.actors[0].state
            ),
        )


def _act(env: VectorEnv, actor: Actor, part: Rollout, t: int) -> None:
    """Record what a group of environments shows at step t, and take its next actions."""
    _record(env, actor, part, t)
    step = actor.step(obs=part.obs[t], reward=part.reward[t], first=part.first[t])
    env.act(step.action)
    part.logits[t] = step.logits
    part.action[t] = step.action


def _record(env: VectorEnv, actor: Actor, part: Rollout, t: int) -> None:
    """Wait for what a group of environments shows, and copy it to row t.

    The values of the truncated episodes' ends are those of the actor, whose state is still the one
    before row t. At t = 0 the rollout before has them already.
    """
    shown = env.observe()
    part.obs[t] = shown.obs
    part.reward[t] = shown.reward
    part.first[t] = shown.first
    if shown.final and t > 0:
        ended = list(shown.final)
        obs = np.stack(list(shown.final.values()))
        part.final_value[t - 1, ended] = actor.value(obs, shown.reward[ended], ended)
