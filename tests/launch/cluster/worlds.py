"""Environments that fail, registered as `tests.launch.cluster.worlds:NAME-v0`."""

import time

import gymnasium
import numpy as np
from gymnasium import spaces

STEPS = 200  # of an environment, before it fails


class Sound(gymnasium.Env):
    """Episodes of ten steps, and nothing goes wrong."""

    observation_space = spaces.Box(0, 10, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self):
        self.steps = 0

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        self.fail()
        return np.ones(2, np.float32), 1.0, self.steps % 10 == 0, False, {}

    def fail(self):
        pass


class Raises(Sound):
    """Raises after some rollouts."""

    def fail(self):
        if self.steps > STEPS:
            raise RuntimeError("simulator lost its connection")


class Hangs(Sound):
    """Returns no more after some rollouts."""

    def fail(self):
        while self.steps > STEPS:
            time.sleep(60)


class Broken(Sound):
    """Never makes a step."""

    def fail(self):
        raise RuntimeError("simulator cannot start")


for world in (Sound, Raises, Hangs, Broken):
    gymnasium.register(f"{world.__name__}-v0", entry_point=world)
