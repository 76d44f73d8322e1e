"""Kernels that are written once, in C++, and compiled on first use for the device at hand.

One source serves both: by the host compiler it becomes a shared library for CPUs (`host`), by NVRTC
device code for a GPU (`cuda`). A kernel is compiled for one shape of matrix and one element type.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from agents.ops.kernels import cuda, host
from agents.ops.kernels.spec import KernelUnavailableError, Launch, Spec

__all__ = ["SEGMENT", "Spec", "available", "library", "references_only", "run"]

SEGMENT = 64  # steps between two states that the backward pass starts from, as in fast_weights.h
MAX_SIZE = 32  # of a head: a larger matrix and its gradient do not fit the registers of a few warps

log = logging.getLogger(__name__)

_references_only = False


@contextmanager
def references_only() -> Iterator[None]:
    """Leave everything to the references meanwhile, as if there was no compiler."""
    global _references_only
    before, _references_only = _references_only, True
    try:
        yield
    finally:
        _references_only = before


def available(spec: Spec, weights: Sequence[Tensor], sequences: Sequence[Tensor]) -> bool:
    """Tell whether there is such a kernel for these arguments; it is compiled if need be.

    Args:
        spec: the kernel.
        weights: matrices and states, which have to be float32.
        sequences: all else that is not a flag, of the type in `spec`.
    """
    device = weights[0].device
    return (
        all(tensor.dtype == torch.float32 for tensor in weights)
        and all(tensor.dtype == spec.dtype for tensor in sequences)
        and all(tensor.device == device for tensor in (*weights, *sequences))
        and _exists(device, spec.source, spec.rows, spec.size, spec.outputs, spec.dtype)
    )


@torch.compiler.assume_constant_result  # `torch.compile` asks, and does not look inside
def _exists(device: torch.device, *spec: Any) -> bool:
    return library(Spec(*spec), device) is not None


def library(spec: Spec, device: torch.device) -> Launch | None:
    """Return the compiled kernel for tensors on `device`, or None, with one warning, if none is."""
    if _references_only:
        return None
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    index = device.index or 0
    return _library(spec, device.type, index, capability)


@cache
def _library(
    spec: Spec, kind: str, index: int, capability: tuple[int, int] | None
) -> Launch | None:
    if kind not in ("cpu", "cuda") or spec.dtype not in (torch.float32, torch.bfloat16):
        return None
    if spec.size > MAX_SIZE:
        log.warning(
            "%s: heads of size %d are beyond the fused kernel's %d: using the slower reference",
            spec.source,
            spec.size,
            MAX_SIZE,
        )
        return None
    try:
        if kind == "cpu":
            return host.load(spec)
        assert capability is not None
        return cuda.load(spec, index, capability)
    except KernelUnavailableError as error:
        log.warning("%s: using the slower reference: %s", spec.source, error)
        return None


def run(spec: Spec, entry: str, pointers: Sequence[Tensor | None], shape: Sequence[int]) -> None:
    """Run a kernel on contiguous tensors, on a GPU on its current stream.

    Args:
        spec: the kernel.
        entry: the name of its entry point.
        pointers: the tensors in the order of the entry point's struct; None is a null pointer.
        shape: steps, batch and heads.

    Raises:
        RuntimeError: if there is no such kernel for the tensors' device (see `library`).
    """
    device = next(tensor.device for tensor in pointers if tensor is not None)
    launch = library(spec, device)
    if launch is None:
        raise RuntimeError(f"there is no kernel {spec} for {device}")
    arguments = _struct(len(pointers))(
        *(None if tensor is None else tensor.data_ptr() for tensor in pointers), *shape
    )
    launch(entry, arguments, shape[1] * shape[2])


@cache
def _struct(pointers: int) -> type[ctypes.Structure]:
    fields: list[tuple[str, type]] = [(f"pointer_{i}", ctypes.c_void_p) for i in range(pointers)]
    fields += [(name, ctypes.c_int) for name in ("steps", "batch", "heads")]
    return type("Arguments", (ctypes.Structure,), {"_fields_": fields})
