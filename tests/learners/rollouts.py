"""Random rollouts, to be cut, joined and staged."""

import numpy as np

from learners import Rollout

T, N = 3, 6


def rollout(envs=N, seed=0, side=4):
    generator = np.random.default_rng(seed)
    return Rollout(
        obs=generator.integers(256, size=(T + 1, envs, side, side, 3), dtype=np.uint8),
        reward=generator.normal(size=(T + 1, envs)).astype(np.float32),
        first=generator.random((T + 1, envs)) < 0.3,
        action=generator.integers(5, size=(T, envs)),
        logits=generator.normal(size=(T, envs, 5)).astype(np.float32),
        final_value=generator.normal(size=(T, envs)).astype(np.float32),
        version=np.arange(envs),
        state=(
            generator.normal(size=(envs, 2, 3)).astype(np.float32),
            generator.normal(size=(envs, 7)).astype(np.float32),
        ),
    )
