"""The values of a configuration by dotted key, as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch.config.source import AnyConfig


def values_of(config: AnyConfig) -> dict[str, str]:
    """Return the values of a configuration by dotted key."""
    return _flat(config.model_dump(mode="json"))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
