"""Names of parts, and the decorator by which a module of the user's own adds one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """A mapping from a name in the configuration to what builds the part of that name.

    Args:
        kind: what the parts are, for error messages: "core", "encoder".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds a part under `name`.

        Registering the same definition again, as a reloaded module does, replaces it.

        Raises:
            ValueError: if another part has that name.
        """

        def add(part: T) -> T:
            there = self._parts.get(name)
            if there is not None and _origin(there) != _origin(part):
                raise ValueError(
                    f"{self.kind} {name!r} is registered already, by {_origin(there)}: "
                    "choose another name"
                )
            self._parts[name] = part
            return part

        return add

    def __getitem__(self, name: str) -> T:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _origin(part: object) -> str:
    return f"{getattr(part, '__module__', '?')}.{getattr(part, '__qualname__', part)}"
