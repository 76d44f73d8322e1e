"""Observations of Gymnasium spaces as images or vectors, checked against their space."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

VECTORS = ("Box", "Discrete", "MultiDiscrete", "MultiBinary")
"""Spaces that are flattened to a vector."""

Reader = Callable[[Any], NDArray[Any]]
"""From an observation to its array; a ValueError says what is wrong with it."""


def is_image(space: Any) -> bool:
    """Return whether observations of `space` are uint8 images [H, W, C]."""
    return len(space.shape or ()) == 3 and space.dtype == np.uint8


def parts_of(space: Any, spaces: ModuleType) -> Iterator[Any]:
    """Yield the spaces that a space is made of: itself, or the parts of a Tuple or Dict.

    Args:
        space: of Gymnasium or of gym.
        spaces: that package's module of spaces.
    """
    if not isinstance(space, spaces.Tuple | spaces.Dict):
        yield space
        return
    parts = space.spaces
    for part in parts.values() if isinstance(parts, Mapping) else parts:
        yield from parts_of(part, spaces)


def make_reader(space: Any, spaces: ModuleType) -> Reader:
    """Return what turns an observation of `space` into an array of its spec's shape and type.

    Args:
        space: of images, or of what can be flattened to a vector.
        spaces: the module of spaces that `space` comes from.
    """
    if is_image(space) or isinstance(space, spaces.Box):
        return partial(_read_box, tuple(space.shape), np.dtype(space.dtype), is_image(space))
    return partial(_read_flat, space, partial(spaces.flatten, space))


def _read_box(
    shape: tuple[int, ...], dtype: np.dtype[Any], image: bool, observation: Any
) -> NDArray[Any]:
    array = _array(observation)
    if array.shape != shape:
        raise ValueError(f"has shape {list(array.shape)}, but its space {list(shape)}")
    # A float between 0 and 1 in a uint8 image would become 0 without a word.
    if array.dtype.kind == "f" and dtype.kind != "f":
        raise ValueError(f"is {array.dtype}, but its space {dtype}")
    if image:
        if array.dtype != dtype and not (array.min() >= 0 and array.max() <= 255):
            raise ValueError(f"has values outside 0..255 as {array.dtype}, but its space {dtype}")
        return array
    return _finite(array.reshape(-1))


def _read_flat(space: Any, flatten: Callable[[Any], NDArray[Any]], observation: Any) -> Any:
    if not space.contains(observation):
        shown = " ".join(repr(observation).split())
        raise ValueError(f"is not in its space {' '.join(str(space).split())}: {shown[:80]}")
    return _finite(np.asarray(flatten(observation)))


def _array(observation: Any) -> NDArray[Any]:
    try:
        array = np.asarray(observation)
    except (ValueError, TypeError) as error:  # lists of different lengths
        raise ValueError(f"is no array: {' '.join(str(error).split())}") from None
    if array.dtype.kind not in "biuf":
        hint = "; reset() must return (observation, info)" if isinstance(observation, tuple) else ""
        raise ValueError(f"is a {type(observation).__name__}, not numbers{hint}")
    return array


def _finite(vector: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        array = vector.astype(np.float32)
    if not np.isfinite(array).all():
        place = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"is {array[place]} at index {place} (as float32)")
    return array
