"""Which kernel is meant, and what a compiled one is."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import torch

Launch = Callable[[str, ctypes.Structure, int], None]
"""Runs a kernel's entry point with its arguments for so many groups of lanes."""


class KernelUnavailableError(RuntimeError):
    """There is no compiler, or it cannot compile the kernel; the message is one line."""


@dataclass(frozen=True)
class Spec:
    """Which kernel: a source file beside this one, compiled for one matrix."""

    source: str
    rows: int
    size: int  # D, the columns
    outputs: int  # E
    dtype: torch.dtype  # of the sequences: float32 or bfloat16

    @property
    def warps(self) -> int:
        """Warps that share a matrix: as many as let the backward pass stay in registers.

        A lane holds its rows of the matrix and of its gradient, and its part of a sum over all rows
        for each of two keys beside a key. What else it needs fits what 160 leaves of 255.

        Raises:
            ValueError: if no number of warps lets it.
        """
        if 5 * self.size > 160:
            raise ValueError(f"{self.source}: a head of size {self.size} fits no registers")
        warps = 1
        while self.size * (2 * -(-self.rows // (32 * warps)) + 3) > 160:
            warps *= 2
        return warps

    @property
    def padded_rows(self) -> int:
        """Length of a vector of rows as a kernel stores it: a place for every lane."""
        lanes = 32 * self.warps
        return -(-self.rows // lanes) * lanes

    @property
    def macros(self) -> list[str]:
        """The compiler options that make the source this kernel."""
        macros = [f"-DD={self.size}", f"-DE={self.outputs}", f"-DWARPS={self.warps}"]
        return macros + ["-DBFLOAT16"] * (self.dtype == torch.bfloat16)
