"""Reads pickles of plain data and numpy arrays. Nothing that a pickle asks for is run.

A pickle is a program: it names functions, and Python's reader calls them. This reader looks each
name up in a short table of its own functions, which build arrays from checked parts, and refuses
all others. Even numpy's own functions are not called: they trust what a pickle gives them, so an
array of object pointers could be made from bytes.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9][0-9]{0,5}|O8?")
"""Booleans, integers, floats, text, and objects, which are then a list of plain data."""


def load(file: BinaryIO) -> Any:
    """Read one pickle, of any protocol, also of Python 2.

    Python 2's strings become text (latin 1). Arrays may come back as a subclass of ndarray: pass
    them through `np.asarray`.

    Raises:
        Exception: of nearly any type if the file is damaged; `pickle.UnpicklingError` if it asks
            for anything other than numpy arrays and plain data.
    """
    return _Reader(file, encoding="latin1").load()


class _Dtype:
    """The type of an array's elements, while it is being read."""

    def __init__(self, code: str) -> None:
        if not isinstance(code, str) or not DTYPE.fullmatch(code):
            raise pickle.UnpicklingError(f"an array's type is {code!r}, which is not allowed")
        self._code = code
        self.numpy: np.dtype[Any] = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.numpy = np.dtype(state[1] + self._code)


class _Array(np.ndarray):
    """An array that checks its state before numpy takes it."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran_order, data = state
        data = _checked(data, shape, dtype)
        super().__setstate__((1, shape, dtype.numpy, bool(fortran_order), data))


def _checked(data: Any, shape: Any, dtype: Any) -> Any:
    """Return the elements of an array, after a check that there are as many as its shape says."""
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("an array has no type")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise pickle.UnpicklingError(f"an array's shape is {shape!r:.80}")
    if dtype.numpy.hasobject:
        if not isinstance(data, list) or len(data) != math.prod(shape):
            raise pickle.UnpicklingError("an array's list of objects does not fit its shape")
        return data
    if isinstance(data, str):  # Python 2 wrote it
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError("an array's data are not bytes")
    if len(data) != math.prod(shape) * dtype.numpy.itemsize:
        raise pickle.UnpicklingError(f"an array has {len(data)} bytes, and its shape is {shape}")
    return data if isinstance(data, bytes) else bytes(data)


def _reconstruct(kind: object, shape: object, code: object) -> _Array:
    # The arguments are always (ndarray, (0,), b'b'); the array's state follows.
    return _Array((0,), np.uint8)


def _ndarray() -> None:
    raise pickle.UnpicklingError("numpy.ndarray is only a mark here, not to be called")


def _dtype(code: str, align: object, copy: object) -> _Dtype:
    return _Dtype(code)


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    data = _checked(data, shape, dtype)
    return np.frombuffer(data, dtype.numpy).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: Any, data: Any) -> Any:
    return np.frombuffer(_checked(data, (), dtype), dtype.numpy)[0]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":  # how protocol 2 writes bytes
        raise pickle.UnpicklingError(f"the encoding is {encoding!r:.80}, not latin1")
    return text.encode("latin1")


FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and numpy 2
    FUNCTIONS[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    FUNCTIONS[f"{_core}.multiarray", "scalar"] = _scalar
    FUNCTIONS[f"{_core}.numeric", "_frombuffer"] = _from_buffer


# The reader in Python, not the one in C: a damaged index makes the latter fill 64 GB of memory.
# It is of type Any because typeshed describes only what both have.
_PythonReader: Any = pickle._Unpickler


class _Reader(_PythonReader):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return FUNCTIONS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}; only numpy arrays and plain data are read"
            ) from None

    def load_build(self) -> None:
        # Any other object would get attributes that the pickle chooses.
        if not isinstance(self.stack[-2], _Array | _Dtype):
            raise pickle.UnpicklingError("it gives a state to an object that has none")
        super().load_build()

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **_PythonReader.dispatch,
        pickle.BUILD[0]: load_build,
    }
