"""Checks of ranks, sizes and dtypes at the entry of public functions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from numpy.typing import NDArray
from torch import Tensor

ANY, FLOAT = "any", "float"
"""Dtypes that a layout may name beside exact ones such as `int64` and `bool`."""


class Layout(NamedTuple):
    """The dtype and the dimensions that an argument must have."""

    dtype: str
    dims: tuple[tuple[str, int], ...]  # such as ("T", 1) for T+1
    open: bool  # any further dimensions may follow
    text: str  # of the dimensions, such as "[T+1, B, ...]"


def check(function: str, **arguments: tuple[Tensor | NDArray[Any], str]) -> None:
    """Refuse arguments that are not what `function` takes, or that do not agree in their sizes.

        check(
            "vtrace",
            values=(values, "float [T, B]"),
            bootstrap_value=(bootstrap_value, "float [B]"),
        )

    A layout is a dtype (`any`, `float` of any precision, or an exact name) and named dimensions.
    Equal names are equal sizes; `T+1` is one more than `T`; `...` stands for any further ones.

    Args:
        function: the name that the message begins with.
        arguments: each a tensor or an array, with its layout.

    Raises:
        ValueError: with one line that names the argument, what it is and what would be right.
    """
    sizes: dict[str, int] = {}
    for name, (value, text) in arguments.items():
        layout = _parse(text)
        if not _fits(value.shape, layout, sizes):
            raise ValueError(f"{function}: {_misfit(name, arguments, sizes)}")
        if not _is(value.dtype, layout.dtype):
            is_named = str(value.dtype).removeprefix("torch.")
            raise ValueError(f"{function}: {name} is {is_named}, but must be {layout.dtype}")


@cache
def _parse(text: str) -> Layout:
    dtype, dims = text.split(" ", 1)
    names = dims.strip("[]").split(", ")
    further = names[-1] == "..."
    pairs = (name.partition("+") for name in (names[:-1] if further else names))
    return Layout(dtype, tuple((name, int(more or 0)) for name, _, more in pairs), further, dims)


@cache
def _is(dtype: Any, wanted: str) -> bool:
    name = str(dtype).removeprefix("torch.")
    return FLOAT in name if wanted == FLOAT else wanted in (name, ANY)


def _fits(shape: tuple[int, ...], layout: Layout, sizes: dict[str, int]) -> bool:
    """Compare a shape with a layout; note the sizes of dimensions that are seen first here."""
    rank = len(layout.dims)
    if len(shape) < rank or (len(shape) > rank and not layout.open):
        return False
    for size, (name, more) in zip(shape, layout.dims, strict=False):
        if sizes.setdefault(name, size - more) != size - more:
            return False
    return True


def _misfit(
    name: str,
    arguments: Mapping[str, tuple[Tensor | NDArray[Any], str]],
    sizes: Mapping[str, int],
) -> str:
    """Describe an argument whose shape is wrong, beside those that must have the same shape."""
    text = arguments[name][1]
    same = [f"{other} {[*value.shape]}" for other, (value, its) in arguments.items() if its == text]
    layout = _parse(text)
    if len(same) > 1 and not layout.open:
        return f"{', '.join(same[:-1])} and {same[-1]} must all be {layout.text}"
    known = ", ".join(f"{dim} = {sizes[dim]}" for dim, _ in layout.dims if dim in sizes)
    return f"{name} {[*arguments[name][0].shape]} must be {layout.text}" + (
        f" with {known}" if known else ""
    )
