"""The one trajectory type: what workers send and what the learner reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Rollout(NamedTuple):
    """T steps of N environments, and the observation after the last one.

    `first[t]` says that `obs[t]` opens an episode; `reward[t]` arrived together with `obs[t]`, so
    `reward[t + 1]` answers `action[t]`, which was chosen at `obs[t]` with `logits[t]`. The next
    rollout of the same environments starts at this one's last observation.
    """

    obs: NDArray[np.generic]  # [T+1, N, ...], as the environment gives them
    reward: NDArray[np.float32]  # [T+1, N], unclipped
    first: NDArray[np.bool_]  # [T+1, N]
    action: NDArray[np.int64]  # [T, N]
    logits: NDArray[np.float32]  # [T, N, A], of the behaviour policy
    version: NDArray[np.int64]  # [N], of the weights that acted
    state: tuple[NDArray[np.float32], ...]  # each [N, ...], the core's state before obs[0]

    @property
    def num_envs(self) -> int:
        """N."""
        return self.first.shape[1]

    def columns(self, start: int, stop: int) -> Rollout:
        """Return the environments [start, stop) alone, without a copy."""
        part = slice(start, stop)
        return Rollout(
            obs=self.obs[:, part],
            reward=self.reward[:, part],
            first=self.first[:, part],
            action=self.action[:, part],
            logits=self.logits[:, part],
            version=self.version[part],
            state=tuple(tensor[part] for tensor in self.state),
        )


def join(rollouts: Sequence[Rollout]) -> Rollout:
    """Put rollouts of one length side by side into a batch; a single one is not copied."""
    if len(rollouts) == 1:
        return rollouts[0]
    obs, reward, first, action, logits, version, states = zip(*rollouts, strict=True)
    return Rollout(
        obs=np.concatenate(obs, axis=1),
        reward=np.concatenate(reward, axis=1),
        first=np.concatenate(first, axis=1),
        action=np.concatenate(action, axis=1),
        logits=np.concatenate(logits, axis=1),
        version=np.concatenate(version),
        state=tuple(np.concatenate(parts) for parts in zip(*states, strict=True)),
    )
