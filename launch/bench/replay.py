"""Actors that stand in for workers and learner, so that only the driver has something to do.

Each is a process of its own, and the workers do not import torch: they start sooner and take less
memory. What the driver is given is as in a run: a reference to what lies in the object store, and a
few bytes about it, which come with Ray's reply.
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
    """Returns the frames that one environment saw in a rollout, time and again.

    It is a new object each time, as a worker's. The driver never opens it, so its size does not
    matter to it as long as it lies in the object store; copies of whole rollouts would take from
    the driver the cores that it shares with the workers.
    """

    columns = 1

    def __init__(self, config: dict[str, Any], index: int, restart: int) -> None:
        rng = np.random.default_rng(index)
        shape = (STEPS + 1, self.columns, *OBSERVATION)
        self.frames = rng.integers(256, size=shape, dtype=np.uint8)

    def node(self) -> str:
        """Return where this runs."""
        return "here"

    @ray.method(num_returns=2)
    def rollout(self, weights: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], RolloutInfo]:
        """Return the recorded frames [T+1, N, H, W, C], whatever the weights."""
        return self.frames, RolloutInfo(ENVS, [], 0.0)


class WholeReplayWorker(ReplayWorker):
    """Returns the frames of all environments of a rollout: 20 MB are copied for each."""

    columns = ENVS


class CountingLearner:
    """Counts updates, and opens no rollout; each makes new weights."""

    def __init__(self, config: dict[str, Any], rank: int) -> None:
        self.updates = 0

    def start(self, place: None, saved: None) -> None:
        """There is nobody to meet."""

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
        """Return what stands for parameters."""
        return np.zeros(WEIGHTS_BYTES, np.uint8)
