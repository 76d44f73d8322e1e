"""MiniGrid's memory task with observations that a small network can read.

Gymnasium knows it as `memory/MiniGrid-S7` and so on once this module is imported; MiniGrid itself
(`pip install '.[memory]'`) is imported when an environment is made.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

VIEW = 7
"""The agent sees VIEW x VIEW cells."""

CODES = (11, 6, 3)
"""How many objects, colours and states a cell of MiniGrid can have."""

DIRECTIONS = 4
MOVES = 3
"""MiniGrid's first actions are left, right and forward; the others are of no use in this task."""


class MiniGridMemory(gymnasium.Env[NDArray[np.float32], np.int64]):
    """The agent sees a key or a ball, then has to find the same object at the end of a corridor.

    An observation is a vector of zeros and ones: for each of the 7 x 7 cells in view the one-hot
    codes of its object, colour and state, then the one-hot direction. The actions are left, right
    and forward. The reward comes at the end: 1 - 0.9 x (share of the allowed steps that it took)
    at the right object, 0 at the wrong one and where the steps, 5 x size x size, are used up.

    Args:
        size: of the grid, an odd number.
        random_length: whether the length of the corridor differs between episodes.

    Raises:
        ImportError: if MiniGrid is not installed.
    """

    def __init__(self, size: int = 7, random_length: bool = False) -> None:
        try:
            minigrid = importlib.import_module("minigrid.envs")
        except ImportError:
            raise ImportError("it needs MiniGrid: pip install '.[memory]'") from None
        self.grid_world = minigrid.MemoryEnv(size=size, random_length=random_length)
        length = VIEW * VIEW * sum(CODES) + DIRECTIONS
        self.observation_space = spaces.Box(0, 1, (length,), np.float32)
        self.action_space = spaces.Discrete(MOVES)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draw a grid."""
        seen, _ = self.grid_world.reset(seed=seed)
        return one_hot(seen), {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Turn or go forward."""
        seen, reward, terminated, truncated, _ = self.grid_world.step(int(action))
        return one_hot(seen), float(reward), terminated, truncated, {}

    def get_state(self) -> bytes:
        """Return the grid, the agent's place in it and the random generator's state."""
        world = self.grid_world
        state = {
            "cells": world.grid.encode().tolist(),
            "position": [int(x) for x in world.agent_pos],
            "direction": int(world.agent_dir),
            "steps": world.step_count,
            "right": [int(x) for x in world.success_pos],
            "wrong": [int(x) for x in world.failure_pos],
            "random": world.np_random.bit_generator.state,
        }
        return json.dumps(state).encode()

    def set_state(self, state: bytes) -> None:
        """Continue from `get_state()`."""
        world, values = self.grid_world, json.loads(state)
        world.grid, _ = type(world.grid).decode(np.array(values["cells"], np.uint8))
        world.agent_pos = tuple(values["position"])
        world.agent_dir = values["direction"]
        world.step_count = values["steps"]
        world.success_pos = tuple(values["right"])
        world.failure_pos = tuple(values["wrong"])
        world.np_random.bit_generator.state = values["random"]

    def close(self) -> None:
        """Close MiniGrid's environment."""
        self.grid_world.close()


def one_hot(seen: dict[str, Any]) -> NDArray[np.float32]:
    """Return the vector of one of MiniGrid's observations."""
    codes = [np.eye(count)[seen["image"][..., i]] for i, count in enumerate(CODES)]
    cells = np.concatenate(codes, axis=-1).ravel()
    return np.append(cells, np.eye(DIRECTIONS)[seen["direction"]]).astype(np.float32)


SIZES: dict[str, dict[str, Any]] = {
    "S7": {"size": 7},
    "S9": {"size": 9},
    "S11": {"size": 11},
    "S13": {"size": 13},
    "S13Random": {"size": 13, "random_length": True},
    "S17Random": {"size": 17, "random_length": True},
}
"""From the ending of a name to the arguments; as MiniGrid names them."""

for name, arguments in SIZES.items():
    gymnasium.register(
        f"memory/MiniGrid-{name}",
        entry_point="envs.minigrid_memory:MiniGridMemory",
        kwargs=arguments,
    )
