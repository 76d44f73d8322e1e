"""Seeds of environments, from the seed of a run."""

from __future__ import annotations

import numpy as np


def mix_seed(seed: int, index: int) -> int:
    """Return a seed of 31 bits, which both gym and ProcGen take.

    Args:
        seed: of the run, at least 0.
        index: of the environment in the run, at least 0.
    """
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0]) >> 1
