"""Everything that places, watches and saves a run: the command line, and these Python functions.

They are imported when they are first used, so that `import launch.errors` does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch.api import (
        Evaluation,
        FewShotResult,
        PolicyResult,
        RunFolder,
        evaluate,
        evaluate_fewshot,
        evaluate_policies,
        load_config,
        resume,
        train,
    )

__all__ = [
    "Evaluation",
    "FewShotResult",
    "PolicyResult",
    "RunFolder",
    "evaluate",
    "evaluate_fewshot",
    "evaluate_policies",
    "load_config",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("launch.api"), name)
