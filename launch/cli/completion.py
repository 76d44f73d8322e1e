"""Shell completion of the names of configurations and of their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from launch.config.schema import CommonConfig


def complete_config_or_key(context: click.Context, __: click.Parameter, typed: str) -> list[str]:
    """Return configurations, keys and sections that begin with what is typed."""
    from launch.config.reference import all_keys

    keys = [key.name for key in all_keys(kind_of("fewshot" if context.params["fewshot"] else ""))]
    sections = {name[:dot] for name in keys for dot, sign in enumerate(name) if sign == "."}
    return [name for name in [*_configs(), *keys, *sorted(sections)] if name.startswith(typed)]


def complete_config(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Return configurations, and keys with their `=`, that begin with what is typed."""
    names = [name for name in _configs() if name.startswith(typed)]
    return names + complete_override(context, parameter, typed)


def complete_override(context: click.Context, __: click.Parameter, typed: str) -> list[str]:
    """Return keys that begin with what is typed, with their `=`.

    The last one comes with its default too: of two words left, a shell adds no space after the `=`.
    """
    from launch.config.reference import all_keys

    kind = kind_of(context.info_name)
    keys = [key for key in all_keys(kind) if key.name.startswith(typed)]
    words = [f"{key.name}=" for key in keys]
    return [*words, f"{keys[0].name}={keys[0].default}"] if len(keys) == 1 else words


def kind_of(command: str | None) -> type[CommonConfig]:
    """Return the kind of configuration that a command takes."""
    from launch.config.fewshot import FewShotConfig
    from launch.config.schema import LoadedConfig

    return FewShotConfig if command == "fewshot" else LoadedConfig


def _configs() -> list[str]:
    from launch.config.source import CONFIGS

    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))
