"""The IMPALA learner: a batch of rollouts in, one optimiser step, a new weight version out."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from agents import Agent
from agents.shapes import check
from learners.impala.batch import Batch, Stage
from learners.impala.config import LearnerConfig
from learners.impala.losses import entropy, policy_gradient_loss, standardise, value_loss
from learners.impala.optimiser import make_optimiser
from learners.impala.rollout import Rollout
from learners.impala.vtrace import vtrace
from learners.introspection import MemoryReport
from learners.network_state import (
    diverged,
    load_agent,
    load_optimiser,
    optimiser_arrays,
    to_arrays,
    to_tensor,
)
from learners.nonfinite import NonfiniteUpdate
from learners.schedule import Schedule

# A slice of every so many batches shows what the memory does; on a CPU below 1 % of the time.
INTROSPECT_EVERY = 50
INTROSPECT_ENVS = 4

# Acting and learning compute the same policy, but with other roundings: a ratio of 1 + 1e-7 is 1.
ROUNDING = 1e-4


class Weights(NamedTuple):
    """One version of the agent's weights, as every worker gets it."""

    version: int
    state_dict: dict[str, NDArray[Any]]  # parameters and buffers


class Learner:
    """The agent, its optimiser and the counters that belong to them.

    Learners of one `group` hold the same agent, and each is given its share of every batch; the
    shares are equally large. All take the step that one would take from the whole batch, and report
    its losses; the first alone reports on the memory.

    Buffers of layers such as BatchNorm are not averaged: each learner normalises its own share, and
    before each forward pass all copy the first learner's buffers. So the statistics that workers
    and checkpoints get are those of the first learner's shares. On a CPU each of the pieces that
    the agent encodes a batch in is normalised by itself.
    """

    def __init__(
        self,
        agent: Agent,
        config: LearnerConfig,
        total_frames: int,
        device: str = "cpu",
        group: dist.ProcessGroup | None = None,
    ) -> None:
        self.agent = agent.to(device)
        self.group = group
        self.rank, self.size = (group.rank(), group.size()) if group else (0, 1)
        # Sums gradients while the backward pass still runs; what it wraps is the agent itself.
        self.model = DistributedDataParallel(self.agent, process_group=group) if group else agent
        self.device = torch.device(device)
        self.stage = Stage(self.device)
        self.config = config
        self.optimiser = make_optimiser(agent.parameters(), config)
        self.schedule = Schedule(config.schedule, config.learning_rate, total_frames)
        self.memory = MemoryReport(self.agent)  # before a state is loaded
        self.frames = 0  # environment steps learnt from
        self.version = 0  # optimiser steps taken
        self.skipped = 0  # batches that were not finite
        self._skipped_in_a_row = 0
        self._nonfinite: NonfiniteUpdate | None = None

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Stage a rollout and take a step from it: see `step`."""
        return self.step(self.stage([rollout]))

    def step(self, batch: Batch) -> dict[str, float]:
        """Take one optimiser step and return its metrics; now and then also those of the memory.

        A batch whose loss or gradient is not finite counts as seen but changes nothing.

        Raises:
            TrainingDivergedError: after `max_skipped` such batches in a row.
            ValueError: if the fields of the batch do not agree.
        """
        started = time.perf_counter()
        _check(batch)
        batch.wait()
        steps, envs = batch.action.shape
        learning_rate = self.schedule.rate(self.frames)
        # By the count of updates, so that a resumed run reports when an uninterrupted one does.
        reports = self.version % INTROSPECT_EVERY == 0 and self.rank == 0
        buffers = [buffer.clone() for buffer in self.agent.buffers()]
        rng = self._rng()
        loss, parts = self._loss(batch)
        self.optimiser.zero_grad()
        # A group averages gradients: right for means, and for sums so many times too small.
        (loss * self.size if self.config.reduction == "sum" else loss).backward()
        memory = self._memory(batch) if reports else {}  # its gradients are not clipped yet
        grad_norm = torch.nn.utils.clip_grad_norm_(
            self.agent.parameters(), self.config.max_grad_norm
        )
        lag = torch.tensor(self.version - batch.version, device=self.device)
        metrics = self._of_group({**parts, "policy/lag": lag})
        metrics["learner/grad_norm"] = float(grad_norm)
        self.frames += steps * envs * self.size
        # The same in each learner of a group, so that all do the same.
        if math.isfinite(metrics["loss/total"]) and math.isfinite(metrics["learner/grad_norm"]):
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate
            self.optimiser.step()
            self.version += 1
            self._skipped_in_a_row = 0
        else:
            self._skip(batch, buffers, rng)
        return metrics | {
            "learner/learning_rate": learning_rate,
            "learner/skipped": self.skipped,
            "time/update": time.perf_counter() - started,
            **memory,
        }

    def weights(self) -> Weights:
        """Copy the current parameters and buffers."""
        return Weights(self.version, to_arrays(self.agent.state_dict()))

    def state(self) -> dict[str, Any]:
        """Copy all that a later `load` needs, as a tree of arrays and plain values.

        Ray moves arrays as they are; of tensors it would make bytes, and copies of these.
        """
        return {
            "agent": to_arrays(self.agent.state_dict()),
            "optimiser": optimiser_arrays(self.agent, self.optimiser),
            "frames": self.frames,
            "version": self.version,
            "skipped": self.skipped,
            "schedule": self.schedule.state(),
            **self._rng(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state()`, or from what a checkpoint kept of it.

        Raises:
            ValueError: if it is the state of another network.
        """
        load_agent(self.agent, state["agent"])
        load_optimiser(self.agent, self.optimiser, state["optimiser"])
        self.frames = state["frames"]
        self.version = state["version"]
        self.skipped = state["skipped"]
        self.schedule.load(state["schedule"], self.frames)
        torch.set_rng_state(to_tensor(state["torch_rng"]))

    def nonfinite(self) -> NonfiniteUpdate | None:
        """Return what the first update had for which `step` gave up; None if it has not."""
        return self._nonfinite

    def _loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        output, _ = self.model(
            obs=batch.obs, reward=batch.reward, first=batch.first, state=batch.state
        )

        log_probs = output.logits[:-1].log_softmax(-1)
        behaviour = batch.logits.log_softmax(-1)
        values, bootstrap_value = output.value[:-1], output.value[-1]
        # What answers action t came with observation t + 1.
        rewards = batch.reward[1:] * config.reward_scale
        rewards = rewards.clamp(-config.reward_clip, config.reward_clip)
        if config.bootstrap_time_limits:
            # To V-trace a truncated episode ends like any other (its discount is 0), with a last
            # reward that holds what the worker expected to follow: not clipped, it is a value.
            rewards = rewards + config.discount * batch.final_value
        discounts = config.discount * (~batch.first[1:]).float()
        chosen = batch.action.unsqueeze(-1)
        log_rhos = (log_probs.detach() - behaviour).gather(-1, chosen).squeeze(-1)
        targets = vtrace(
            log_rhos,
            discounts,
            rewards,
            values.detach(),
            bootstrap_value.detach(),
            config.clip_rho,
            config.clip_c,
            config.vtrace_lambda,
        )
        advantages = targets.advantages
        if config.normalise_advantages:
            advantages = standardise(advantages, self.group)

        steps = batch.action.numel()
        unit = 1 if config.reduction == "sum" else 1 / steps
        policy = unit * policy_gradient_loss(log_probs, batch.action, advantages)
        value = unit * value_loss(values, targets.vs)
        bonus = unit * entropy(log_probs)
        total = policy + config.value_cost * value - config.entropy_cost * bonus
        above = config.clip_rho * (1 + ROUNDING)
        scale = unit * steps  # losses are reported per step, whatever the reduction
        return total, {
            "loss/total": total.detach() / scale,
            "loss/policy": policy.detach() / scale,
            "loss/value": value.detach() / scale,
            "loss/entropy": -config.entropy_cost * bonus.detach() / scale,
            "policy/entropy": bonus.detach() / scale,
            "policy/clipped_rhos": (log_rhos.exp() > above).float().mean(),
            "policy/value": values.detach().mean(),
        }

    def _of_group(self, metrics: dict[str, Tensor]) -> dict[str, float]:
        """Return the means over the group; its learners have equally large shares of a batch."""
        values = torch.stack([value.double() for value in metrics.values()])
        if self.group:
            dist.all_reduce(values, group=self.group)
        means = (values / self.size).tolist()
        return dict(zip(metrics, means, strict=True))

    def _memory(self, batch: Batch) -> dict[str, float]:
        few = batch.columns(0, INTROSPECT_ENVS)
        layers = self.agent.introspect(few.obs, few.reward, few.first, few.state)
        return self.memory.metrics(layers)

    def _rng(self) -> dict[str, Any]:
        return {"torch_rng": torch.get_rng_state().numpy()}

    def _skip(self, batch: Batch, buffers: Sequence[Tensor], rng: dict[str, Any]) -> None:
        """Count a batch that changes nothing; put back the buffers from before it."""
        for buffer, before in zip(self.agent.buffers(), buffers, strict=True):
            buffer.copy_(before)
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= self.config.max_skipped:
            if not self._nonfinite:
                self._nonfinite = NonfiniteUpdate(self.state() | rng, batch.host._asdict())
            raise diverged(self._skipped_in_a_row)


def _check(batch: Batch) -> None:
    check(
        "Learner.step",
        action=(batch.action, "int64 [T, B]"),
        logits=(batch.logits, "float [T, B, A]"),
        final_value=(batch.final_value, "float [T, B]"),
        reward=(batch.reward, "float [T+1, B]"),
        first=(batch.first, "bool [T+1, B]"),
        obs=(batch.obs, "any [T+1, B, ...]"),
        **{f"state[{i}]": (part, "any [B, ...]") for i, part in enumerate(batch.state)},
    )
