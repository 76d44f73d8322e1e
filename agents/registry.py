"""Registries of cores and encoders: their names, and the decorators that add new ones."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # a configuration is checked without importing torch
    from torch import nn

    from agents.config import CoreSections
    from agents.cores.base import Core

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """A mapping from a name in the configuration to the builder of the part with that name.

    The names of the built-in parts are known at once. Their builders are imported when one is
    asked for.

    Args:
        kind: what the parts are, for error messages: "core", "encoder".
        home: the package that registers the built-in parts when it is imported.
        built_in: the names of these parts.
    """

    def __init__(self, kind: str, home: str, built_in: tuple[str, ...]) -> None:
        self.kind = kind
        self.home = home
        self.built_in = built_in
        self._parts: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds a part under `name`.

        Registering the same definition again, as a reloaded module does, replaces it.

        Raises:
            ValueError: if another part has that name.
        """

        def add(part: T) -> T:
            if name in self.built_in:
                owner, taken = self.home, not _origin(part).startswith(f"{self.home}.")
            else:
                owner = _origin(self._parts.get(name, part))
                taken = owner != _origin(part)
            if taken:
                raise ValueError(
                    f"{self.kind} {name!r} is registered already, by {owner}: choose another name"
                )
            self._parts[name] = part
            return part

        return add

    def __getitem__(self, name: str) -> T:
        if name in self.built_in:
            importlib.import_module(self.home)
        return self._parts[name]

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.built_in, *self._parts]))

    def __len__(self) -> int:
        return len({*self.built_in, *self._parts})


def _origin(part: object) -> str:
    return f"{getattr(part, '__module__', '?')}.{getattr(part, '__qualname__', part)}"


CoreBuilder = Callable[["CoreSections", int, int], "Core"]
"""From the section `agent`, the input's size F and the learner's unroll length T to a core."""

CORES: Registry[CoreBuilder] = Registry(
    "core",
    "agents.cores",
    ("feedforward", "lstm", "delta", "fake_srwm", "srwm", "srwm_no_carry", "sr_delta"),
)

register_core = CORES.register
"""Decorator that registers a core: `@register_core("gru")` above a `CoreBuilder`."""

EncoderBuilder = Callable[..., "nn.Module"]
"""From the shape of one observation, and `encoder_options` as keyword arguments, to a module."""

ENCODERS: Registry[EncoderBuilder] = Registry(
    "encoder", "agents.encoders", ("impala", "impala_small", "impala_tiny", "mlp")
)

register_encoder = ENCODERS.register
"""Decorator that registers an encoder: `@register_encoder("vit")` above an `EncoderBuilder`."""
