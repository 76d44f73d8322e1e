"""The one trajectory type: what workers send and what the learner reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


def join(
    rollouts: Sequence[Rollout],
    concatenate: Callable[[Sequence[NDArray[Any]], int], NDArray[Any]] | None = None,
) -> Rollout:
    """Put rollouts of one length side by side, along their environments.

    Args:
        rollouts: at least one.
        concatenate: makes one array of several along an axis; by default NumPy's, which a single
            rollout is spared.
    """
    if concatenate is None:
        if len(rollouts) == 1:
            return rollouts[0]
        concatenate = np.concatenate
    obs, reward, first, action, logits, version, states = zip(*rollouts, strict=True)
    return Rollout(
        obs=concatenate(obs, 1),
        reward=concatenate(reward, 1),
        first=concatenate(first, 1),
        action=concatenate(action, 1),
        logits=concatenate(logits, 1),
        version=concatenate(version, 0),
        state=tuple(concatenate(parts, 0) for parts in zip(*states, strict=True)),
    )
