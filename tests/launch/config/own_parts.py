"""A core, an encoder, an environment and a suite, as a user would register them."""

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from agents import FEATURES, Core, register_core, register_encoder
from envs import Suite, register_env, register_suite


class Leaky(Core):
    """A sum that forgets."""

    def __init__(self, input_size, size, decay):
        super().__init__()
        self.output_size = size
        self.decay = decay
        self.inputs = nn.Linear(input_size, size)

    def initial_state(self, batch):
        return (self.inputs.weight.new_zeros(batch, self.output_size),)

    def forward(self, x, first, state):
        (h,) = state
        steps = []
        for now, opens in zip(self.inputs(x), first, strict=True):
            h = self.decay * h.masked_fill(opens.unsqueeze(-1), 0) + now  # a reset at `first`
            steps.append(h)
        return torch.stack(steps).tanh(), (h,)


@register_core("leaky")
def leaky(config, input_size, unroll_length):
    return Leaky(input_size, **config.core_options)


@register_encoder("wide")
def wide(shape, width):
    return nn.Sequential(nn.Linear(*shape, width), nn.ReLU(), nn.Linear(width, FEATURES))


@register_env("corridor/Short-v0", max_episode_steps=20)
class Corridor(gymnasium.Env):
    """Two steps to the right earn 1."""

    observation_space = spaces.Box(0, 1, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return self._seen(), {}

    def step(self, action):
        self.place = max(0, self.place + (1 if action else -1))
        return self._seen(), float(self.place == 2), self.place == 2, False, {}

    def _seen(self):
        return np.eye(3, dtype=np.float32)[self.place]


register_suite("corridors", Suite(("corridor/Short-v0",)))
