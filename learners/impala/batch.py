"""Batches: rollouts joined and moved to the learner's device."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from learners.impala.rollout import ENVIRONMENT_AXIS, Rollout, columns_of, join, map_fields

ON_DEVICE = tuple(name for name in ENVIRONMENT_AXIS if name != "version")
"""The fields of a rollout that a batch has as tensors."""


class Batch(NamedTuple):
    """The unrolls of B environments as tensors; the fields are those of `Rollout`."""

    obs: Tensor  # [T+1, B, ...]
    reward: Tensor  # [T+1, B], float32
    first: Tensor  # [T+1, B], bool
    action: Tensor  # [T, B], int64
    logits: Tensor  # [T, B, A], float32
    final_value: Tensor  # [T, B], float32
    state: tuple[Tensor, ...]  # each [B, ...]
    version: float  # the mean of those that acted
    host: Rollout  # where the tensors were copied from, or what they share their memory with
    uploaded: torch.cuda.Event | None

    def columns(self, start: int, stop: int) -> Batch:
        """Return the environments [start, stop) alone, without a copy."""
        host = self.host.columns(start, stop)
        version = float(host.version.mean())
        tensors = columns_of(self, start, stop, names=ON_DEVICE)
        return self._replace(**tensors, version=version, host=host)

    def tensors(self) -> list[Tensor]:
        """Return all tensors, those of the state one by one."""
        found: list[Tensor] = []
        map_fields(lambda _, tensor: found.append(tensor), self, names=ON_DEVICE)
        return found

    def wait(self) -> None:
        """Let what is computed from here on wait until the batch is there. The host goes on."""
        if self.uploaded:
            stream = torch.cuda.current_stream(self.obs.device)
            stream.wait_event(self.uploaded)
            for tensor in self.tensors():
                tensor.record_stream(stream)  # its memory was another stream's


class Stage:
    """Makes batches on `device`.

    On a GPU rollouts are joined in pinned memory, from which a stream of its own uploads them: both
    while another thread learns. On a CPU the tensors share the memory of what was joined.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._uploads = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, rollouts: Sequence[Rollout]) -> Batch:
        """Put rollouts of one length side by side, as B = sum of their N environments."""
        if self._uploads is None:
            return self._batch(join(rollouts), None)
        host = join(rollouts, _concatenate_pinned)
        with torch.cuda.stream(self._uploads):
            uploaded = torch.cuda.Event()
            batch = self._batch(host, uploaded)
            uploaded.record(self._uploads)
        return batch

    def _batch(self, host: Rollout, uploaded: torch.cuda.Event | None) -> Batch:
        tensors = map_fields(lambda _, array: self._tensor(array), host, names=ON_DEVICE)
        version = float(host.version.mean())
        return Batch(**tensors, version=version, host=host, uploaded=uploaded)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        # A rollout may be a read-only view into shared memory; the learner never writes to it.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return torch.from_numpy(array).to(self.device, non_blocking=True)


def pinned(shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array, not filled, in memory that a GPU reads by itself while the host goes on."""
    torch_dtype = torch.from_numpy(np.empty(0, dtype)).dtype
    array: NDArray[Any] = torch.empty(tuple(shape), dtype=torch_dtype, pin_memory=True).numpy()
    return array


def _concatenate_pinned(arrays: Sequence[NDArray[Any]], axis: int) -> NDArray[Any]:
    shape = list(arrays[0].shape)
    shape[axis] = sum(array.shape[axis] for array in arrays)
    return np.concatenate(arrays, axis=axis, out=pinned(shape, arrays[0].dtype))
