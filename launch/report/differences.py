"""Name runs by what differs between their configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# What may differ between runs, and says nothing about what is compared.
SILENT = (
    *("seed", "run_dir", "launch.", "checkpoint.", "validation.", "log_every_frames"),
    *("held_out.", "envs.threads"),
)


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
