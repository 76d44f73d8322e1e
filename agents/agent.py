"""The policy: encoder, recurrent core, policy and value heads."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.config import AgentConfig
from agents.cores import Core, FastWeights, State, make_core, unroll
from agents.cores.base import RowBlock
from agents.encoders import FEATURES, make_encoder
from agents.mode import evaluating
from agents.precision import encoder_dtype
from agents.shapes import check

# A batch of an unroll is encoded in pieces of this many frames on a CPU: the activations of a piece
# stay in its caches, which is twice as fast as one large batch (and no faster below 64 frames).
CPU_CHUNK = 128


class AgentOutput(NamedTuple):
    """The network's outputs for T steps of B environments."""

    logits: Tensor  # [T, B, A] float32, unnormalised log-probabilities of the actions
    value: Tensor  # [T, B] float32, the estimate of the discounted return from here


class Agent(nn.Module):
    """The network of the paper's RL experiments, for any encoder and core.

    The last reward, clipped to [-1, 1], joins the features. On a step that opens an episode it is
    zero: that reward belongs to the episode before, and a reset must forget it too.
    """

    def __init__(
        self,
        encoder: nn.Module,
        core: Core,
        num_actions: int,
        dtype: torch.dtype = torch.float32,
        bptt: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.core = core
        self.policy = nn.Linear(core.output_size, num_actions)
        self.value = nn.Linear(core.output_size, 1)
        self.dtype = dtype
        self.bptt = bptt

    def initial_state(self, batch: int) -> State:
        """Return the core's zero state for `batch` environments."""
        return self.core.initial_state(batch)

    def forward(
        self, obs: Tensor, reward: Tensor, first: Tensor, state: State
    ) -> tuple[AgentOutput, State]:
        """Unroll over T steps; acting is the case T = 1.

        Args:
            obs: [T, B, ...], the environments' observations.
            reward: [T, B], float32; reward[t] arrived together with obs[t].
            first: [T, B], bool; True where obs[t] opens an episode.
            state: what the previous unroll returned, or `initial_state(B)`.

        Returns:
            The outputs at every step, and the state after the last one.

        Raises:
            ValueError: if shapes or dtypes are others.
        """
        _check("Agent.forward", obs, reward, first, state)
        x = self._inputs(obs, reward, first)
        y, state = unroll(self.core, x, first, state, self.bptt)
        return AgentOutput(self.policy(y), self.value(y).squeeze(-1)), state

    @torch.no_grad()
    def introspect(
        self, obs: Tensor, reward: Tensor, first: Tensor, state: State
    ) -> list[FastWeights]:
        """Return what the core's fast weights do in `forward` of the same arguments.

        Computed as in evaluation, whatever the mode, and no buffer is changed. One entry a layer;
        the list is empty for a core without fast weights.

        Raises:
            ValueError: if shapes or dtypes are others.
        """
        _check("Agent.introspect", obs, reward, first, state)
        with evaluating(self):
            return self.core.introspect(self._inputs(obs, reward, first), first, state)

    def row_blocks(self) -> list[dict[str, RowBlock]]:
        """Name the rows behind the fast weights of each layer: see `Core.row_blocks`."""
        return self.core.row_blocks()

    def _inputs(self, obs: Tensor, reward: Tensor, first: Tensor) -> Tensor:
        last_reward = reward.clamp(-1, 1).masked_fill(first, 0).unsqueeze(-1)
        return torch.cat([self._encode(obs), last_reward], dim=-1)

    def _encode(self, obs: Tensor) -> Tensor:
        frames = obs.flatten(0, 1)
        pieces = frames.split(CPU_CHUNK) if obs.device.type == "cpu" else (frames,)
        lower = self.dtype != torch.float32
        with torch.autocast(obs.device.type, self.dtype, enabled=lower):
            features = torch.cat([self.encoder(piece) for piece in pieces])
        return features.float().unflatten(0, obs.shape[:2])


def _check(function: str, obs: Tensor, reward: Tensor, first: Tensor, state: State) -> None:
    check(
        function,
        first=(first, "bool [T, B]"),
        reward=(reward, "float [T, B]"),
        obs=(obs, "any [T, B, ...]"),
        **{f"state[{i}]": (part, "any [B, ...]") for i, part in enumerate(state)},
    )


def make_agent(
    config: AgentConfig,
    observation_shape: tuple[int, ...],
    num_actions: int,
    unroll_length: int,
    device: str | torch.device = "cpu",
) -> Agent:
    """Build the agent of a configuration, its weights drawn from torch's global generator.

    Args:
        config: the section `agent`.
        observation_shape: of one observation of one environment.
        num_actions: A.
        unroll_length: T of the learner; a memory that is not carried over starts anew with it.
        device: where the agent is put.

    Raises:
        ValueError: if the encoder cannot read such observations.
    """
    agent = Agent(
        make_encoder(config.encoder, observation_shape, config.encoder_options),
        make_core(config, FEATURES + 1, unroll_length),
        num_actions,
        encoder_dtype(config.precision, torch.device(device)),
        config.bptt,
    )
    with torch.no_grad():
        for parameter in agent.policy.parameters():
            parameter.mul_(config.policy_scale)
    return agent.to(device)
