"""A core, an encoder and an environment of your own, in one module.

Train with them, from the folder of this file:

    srwm train cartpole imports='[own_parts]' envs.tasks='[Corridor-v0]' agent.core=gru \
        agent.core_options.hidden_size=64 agent.encoder=linear total_frames=30_000
"""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from agents import FEATURES, Core, State, register_core, register_encoder
from agents.cores import CoreSections
from agents.ops.reset import reset
from envs import register_env


class GRU(Core):
    """A gated recurrent unit (Cho et al. 2014)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.cell = nn.GRUCell(input_size, hidden_size)

    def initial_state(self, batch: int) -> State:
        """Return the hidden state [batch, hidden] of an episode's start."""
        return (self.cell.weight_hh.new_zeros(batch, self.output_size),)

    def forward(self, x: Tensor, first: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over an unroll, as `Core.forward` says."""
        (hidden,) = state
        outputs = []
        for features, opens in zip(x, first, strict=True):
            hidden = self.cell(features, reset(hidden, opens))
            outputs.append(hidden)
        return torch.stack(outputs), (hidden,)


@register_core("gru")
def build_gru(config: CoreSections, input_size: int, unroll_length: int) -> GRU:
    """Build the core from the configuration section `agent`."""
    return GRU(input_size, **config.core_options)


@register_encoder("linear")
class Linear(nn.Module):
    """One layer on a vector."""

    def __init__(self, observation_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.features = nn.Linear(observation_shape[0], FEATURES)

    def forward(self, obs: Tensor) -> Tensor:
        """Map obs [M, F], float32, to features [M, FEATURES]."""
        return torch.relu(self.features(obs))


@register_env("Corridor-v0", max_episode_steps=50)
class Corridor(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Walk to the right end of a corridor: each step costs 0.1, the end pays 1.

    The best return is 0.6.
    """

    def __init__(self, length: int = 6) -> None:
        self.length = length
        self.observation_space = spaces.Box(0, 1, (length,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.place = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start at the left end."""
        super().reset(seed=seed)
        self.place = 0
        return self.observation(), {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Walk right (1) or left (0)."""
        self.place = max(0, self.place + (1 if action == 1 else -1))
        done = self.place == self.length - 1
        return self.observation(), 1.0 if done else -0.1, done, False, {}

    def observation(self) -> NDArray[np.float32]:
        """Return the place, one-hot."""
        return np.eye(self.length, dtype=np.float32)[self.place]
