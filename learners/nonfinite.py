"""Find where an update stops being finite: inputs, weights, activations, losses, gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

Kind = Literal["input", "weight", "activation", "loss", "gradient"]
KINDS: tuple[Kind, ...] = ("input", "weight", "activation", "loss", "gradient")
"""In the order in which an update computes them."""


class NonfiniteUpdate(NamedTuple):
    """What a learner was given in the update for which its run ends."""

    state: dict[str, Any]
    """The learner's `state()`, with the generators as they were before the update. Skipped batches
    change neither weights nor optimiser; the counters have counted the batch."""
    batch: dict[str, Any]  # the fields of the batch as arrays; of one learner of a group, its share


class Finding(NamedTuple):
    """A tensor that is not finite."""

    kind: Kind
    name: str
    shape: tuple[int, ...]
    nans: int
    infs: int
    first: tuple[int, ...]  # index of the first element that is not finite


class Inspection:
    """Collects the tensors of an update that are not finite."""

    def __init__(self) -> None:
        self._found: dict[Kind, dict[str, Finding]] = {kind: {} for kind in KINDS}
        self._seen: list[Tensor] = []  # what one module returns another one is given

    @property
    def findings(self) -> list[Finding]:
        """What was found, in the order in which an update computes it."""
        return [finding for kind in KINDS for finding in self._found[kind].values()]

    def look(self, kind: Kind, name: str, value: Any) -> None:
        """Look at every tensor in a value: a tensor, or names and sequences of such.

        A tensor of a name that was found before is not looked at again.
        """
        for part, tensor in _tensors(name, value):
            bad = ~torch.isfinite(tensor.detach())
            if any(tensor is other for other in self._seen) or not bad.any():
                continue
            self._seen.append(tensor)
            nans = int(tensor.isnan().sum())
            first = tuple(bad.nonzero()[0].tolist())
            found = Finding(kind, part, tuple(tensor.shape), nans, int(bad.sum()) - nans, first)
            self._found[kind].setdefault(part, found)

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        """Look at what each module is given and returns, and at the gradient of each parameter.

        What a module is given is looked at too, because not all is computed in modules: if that is
        the first that is not finite, it came about between two of them. Gradients are found in the
        order in which the backward pass makes them.
        """
        with ExitStack() as hooks:
            for name, module in network.named_modules():
                hooks.enter_context(module.register_forward_pre_hook(self._before(name)))
                hooks.enter_context(module.register_forward_hook(self._after(name)))
            for name, parameter in network.named_parameters():
                hooks.enter_context(
                    parameter.register_post_accumulate_grad_hook(self._gradient(name))
                )
            yield

    def _before(self, module: str) -> Any:
        def hook(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            self._activation(
                f"input of {module or 'the network'}",
                arguments[0] if len(arguments) == 1 else arguments,
            )

        return hook

    def _after(self, module: str) -> Any:
        def hook(_: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            self._activation(f"output of {module or 'the network'}", output)

        return hook

    def _activation(self, name: str, value: Any) -> None:
        # A learner that looks at the memory after the backward pass computes without gradients.
        if torch.is_grad_enabled():
            self.look("activation", name, value)

    def _gradient(self, parameter: str) -> Any:
        return lambda tensor: self.look("gradient", parameter, tensor.grad)


def _tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the floating-point tensors in a value, each with its name."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(f"{name}.{key}" if name else str(key), item)
    elif hasattr(value, "_asdict"):
        yield from _tensors(name, value._asdict())
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _tensors(f"{name}[{index}]", item)
