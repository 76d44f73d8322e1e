"""Actors in place of workers and learner, so that only the driver has work to do.

Each is a process of its own, and the workers do not import torch: they start sooner and take less
memory. What the driver gets is as in a run: a reference to data in the object store, and a few
bytes about it, which come with Ray's reply.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from launch.flow.base import KeptState, LearnerReport, RolloutInfo

STEPS = 50
ENVS = 32
OBSERVATION = (64, 64, 3)
# Ray sends what is smaller than 100 kB with its reply; weights go through the object store.
WEIGHTS_BYTES = 1 << 18


class ReplayWorker:
    """Returns the frames that one environment saw in a rollout, again and again.

    Each call makes a new object, as in a run. The driver never opens it, so its size does not
    matter as long as it lies in the object store; copies of the frames of all environments (20 MB)
    would take the cores that the driver shares with the workers.
    """

    def __init__(self, config: dict[str, Any], index: int, restart: int) -> None:
        rng = np.random.default_rng(index)
        self.frames = rng.integers(256, size=(STEPS + 1, 1, *OBSERVATION), dtype=np.uint8)

    def node(self) -> str:
        """Return where this runs."""
        return "here"

    @ray.method(num_returns=2)
    def rollout(self, weights: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], RolloutInfo]:
        """Return the recorded frames [T+1, 1, H, W, C], whatever the weights."""
        return self.frames, RolloutInfo(ENVS, [], 0.0)


class CountingLearner:
    """Counts updates, and opens no rollout; each update makes new weights."""

    def __init__(self, config: dict[str, Any], rank: int) -> None:
        self.updates = 0

    def start(self, place: None, saved: None) -> None:
        """Do nothing: there are no other learners to meet."""

    def state(self) -> dict[str, int]:
        """Return the counters, which are all that there is."""
        return {"frames": self.updates * STEPS * ENVS, "version": self.updates}

    @ray.method(num_returns=3)
    def update(
        self,
        number: int,
        cuts: list[tuple[int, int]],
        publish: bool,
        keep: bool,
        *rollouts: NDArray[np.uint8],
    ) -> tuple[LearnerReport, NDArray[np.uint8] | None, KeptState | None]:
        """Count one more."""
        self.updates += 1
        frames = self.updates * STEPS * ENVS
        report = LearnerReport(frames, self.updates, {})
        kept = KeptState(self.state(), 0.0) if keep else None
        return report, self.weights() if publish else None, kept

    def weights(self) -> NDArray[np.uint8]:
        """Return as many bytes as parameters would have."""
        return np.zeros(WEIGHTS_BYTES, np.uint8)
