import sys

import gymnasium
import pytest

from agents.registry import CORES, ENCODERS
from envs.suites import SUITES

MODULES = ("own_parts", "my_core", "my_encoder", "my_env", "my_suite")
PARTS = ("gru", "linear", "pooled", "Corridor-v0", "my-three")


@pytest.fixture(autouse=True)
def forget_own_parts():
    """Forget after a test the modules of one's own, and what they have registered."""
    yield
    for names in (CORES._parts, ENCODERS._parts, gymnasium.registry, SUITES):
        for part in PARTS:
            names.pop(part, None)
    for module in MODULES:
        sys.modules.pop(module, None)
