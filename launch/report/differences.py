"""Name runs by what differs between their configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from launch.config.source import AnyConfig

# What may differ between runs, and says nothing about what is compared.
SILENT = (
    *("seed", "run_dir", "launch.", "checkpoint.", "validation.", "log_every_frames"),
    *("held_out.", "envs.threads"),
)


def values_of(config: AnyConfig) -> dict[str, str]:
    """Return the values of a configuration by dotted key."""
    return _flat(config.model_dump(mode="json"))


def differing_keys(configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the keys whose values are not the same in all configurations.

    Keys that do not change the learning are left out.
    """
    return [
        key
        for key in dict.fromkeys(key for values in configs for key in values)
        if not f"{key}.".startswith(SILENT) and len({values.get(key) for values in configs}) > 1
    ]


def short_name(key: str) -> str:
    """Return the last part of a key."""
    return key.rpartition(".")[2]


def labelled(key: str, value: str | None) -> str:
    """Write a core by its name alone, and all else with the last part of its key."""
    return str(value) if short_name(key) == "core" else f"{short_name(key)} {value}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat
