"""A batch of labelled sequences on the learner's device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Episodes(Protocol):
    """B sequences of T positions as arrays; the fields are those of `SupervisedBatch`."""

    @property
    def images(self) -> NDArray[np.uint8]: ...

    @property
    def label_in(self) -> NDArray[np.int64]: ...

    @property
    def target(self) -> NDArray[np.int64]: ...

    @property
    def scored(self) -> NDArray[np.bool_]: ...

    @property
    def labelled(self) -> NDArray[np.bool_]: ...

    @property
    def seen(self) -> NDArray[np.int64]: ...

    @property
    def task(self) -> NDArray[np.int64]: ...


class SupervisedBatch(NamedTuple):
    """B sequences of T positions; classes and labels are 0..N-1, anew in each task."""

    images: Tensor  # [T, B, H, W, C] uint8
    label_in: Tensor  # [T, B] int64, the label that goes in with the image; N is "unknown"
    target: Tensor  # [T, B] int64, the image's own label
    scored: Tensor  # [T, B] bool, positions that count in loss and accuracy
    labelled: Tensor  # [T, B] bool, positions whose label goes in, with the image or the next
    seen: Tensor  # [T, B] int64, images of this class whose label went in before the answer
    task: Tensor  # [T] int64, which task of the sequence it is

    @classmethod
    def join(cls, parts: Sequence[SupervisedBatch]) -> SupervisedBatch:
        """Put the sequences of parts side by side; all parts are of the same tasks."""
        fields = zip(*parts, strict=True)
        return cls(*(torch.cat(x, 1) if x[0].dim() > 1 else x[0] for x in fields))

    def columns(self, start: int, stop: int) -> SupervisedBatch:
        """Return the sequences `start` to `stop` - 1."""
        # `task` alone has no dimension of sequences.
        return SupervisedBatch(*(x[:, start:stop] if x.dim() > 1 else x for x in self))

    def pieces(self, count: int) -> Iterator[SupervisedBatch]:
        """Yield the batch in `count` equal pieces.

        Raises:
            ValueError: if the sequences cannot be shared equally.
        """
        size, rest = divmod(self.target.shape[1], count)
        if rest or not size:
            raise ValueError(f"{self.target.shape[1]} sequences are not {count} equal pieces")
        for start in range(0, size * count, size):
            yield self.columns(start, start + size)


def make_batch(episodes: Episodes, device: str | torch.device = "cpu") -> SupervisedBatch:
    """Copy episodes to tensors on a device.

    Raises:
        ValueError: if their shapes do not belong together.
    """
    fields = {name: np.asarray(getattr(episodes, name)) for name in SupervisedBatch._fields}
    shape = fields["target"].shape
    for name, array in fields.items():
        whole = {"images": array.shape[:2], "task": (*array.shape, *shape[1:])}
        found = whole.get(name, array.shape)
        if len(shape) != 2 or found != shape:
            raise ValueError(
                f"episodes: {name} is {list(array.shape)}, which does not fit to target "
                f"{list(shape)}"
            )
    return SupervisedBatch(
        **{name: torch.tensor(array, device=device) for name, array in fields.items()}
    )
