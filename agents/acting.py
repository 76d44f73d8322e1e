"""Acting: the agent steps in N environments and picks their actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.agent import Agent

ActionRule = Callable[[Tensor], Tensor]
"""Picks actions [N] int64 from the policy's logits [N, A] float32, both on the CPU."""


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw actions [...] int64 from the categorical policy `logits` [..., A]."""
    flat = logits.flatten(0, -2).softmax(-1)
    return torch.multinomial(flat, 1, generator=generator).view(logits.shape[:-1])


def sampler(generator: torch.Generator) -> ActionRule:
    """Return the rule that draws each action with the policy's probability."""
    return lambda logits: sample(logits, generator)


def greedy(logits: Tensor) -> Tensor:
    """Return the most probable actions [...] int64 of the policy `logits` [..., A]."""
    return logits.argmax(-1)


class ActorStep(NamedTuple):
    """What an `Actor` does in one step of N environments."""

    action: NDArray[np.int64]  # [N]
    logits: NDArray[np.float32]  # [N, A], of the policy that the action was picked from
    value: NDArray[np.float32]  # [N], the estimate of the discounted return from here


class Actor:
    """An agent that acts in N environments. It carries the state from one step to the next.

    One step is an unroll of length 1, so acting and learning share one path. The agent is put into
    evaluation mode: layers such as BatchNorm use the statistics that were learnt.

    Args:
        agent: the policy, on the device where it acts. Several actors may share it.
        num_envs: N.
        rule: picks the actions: `sampler(generator)` or `greedy`.
    """

    def __init__(self, agent: Agent, num_envs: int, rule: ActionRule) -> None:
        self.agent = agent.eval()
        self.rule = rule
        self.device = next(agent.parameters()).device
        self.state = agent.initial_state(num_envs)

    @torch.inference_mode()
    def step(
        self, obs: NDArray[Any], reward: NDArray[np.float32], first: NDArray[np.bool_]
    ) -> ActorStep:
        """Act on what the environments show, and advance the state.

        Args:
            obs: [N, ...], the observations.
            reward: [N], float32; arrived together with `obs`.
            first: [N], bool; True where `obs` opens an episode.
        """
        output, self.state = self.agent(
            obs=self._unroll(obs),
            reward=self._unroll(reward),
            first=self._unroll(first),
            state=self.state,
        )
        logits, value = output.logits[0].cpu(), output.value[0].cpu()
        return ActorStep(self.rule(logits).numpy(), logits.numpy(), value.numpy())

    @torch.inference_mode()
    def value(
        self, obs: NDArray[Any], reward: NDArray[np.float32], envs: Sequence[int]
    ) -> NDArray[np.float32]:
        """Estimate the return of K environments from what they show next, without acting on it.

        The state stays as it is, and no action is drawn. The K observations continue their
        episodes; none opens one.

        Args:
            obs: [K, ...], the observations.
            reward: [K], float32; arrived together with `obs`.
            envs: K different indices of environments, in 0..N-1.

        Returns:
            The values [K], float32.
        """
        columns = list(envs)
        output, _ = self.agent(
            obs=self._unroll(obs),
            reward=self._unroll(reward),
            first=self._unroll(np.zeros(len(columns), np.bool_)),
            state=tuple(part[columns] for part in self.state),  # a copy
        )
        values: NDArray[np.float32] = output.value[0].cpu().numpy()
        return values

    def _unroll(self, field: NDArray[Any]) -> Tensor:
        """Move a field [N, ...] to the agent's device as an unroll of length 1, [1, N, ...]."""
        if not field.flags.writeable:  # torch warns when it shares memory that it may not write
            field = field.copy()
        return torch.from_numpy(field[None]).to(self.device, non_blocking=True)
