"""Network states: tensors of a network as arrays and back; the error of a run that diverged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class TrainingDivergedError(RuntimeError):
    """Too many batches in a row had a non-finite loss or gradient."""


def diverged(batches: int) -> TrainingDivergedError:
    """Return the error of a run whose last `batches` batches had to be skipped."""
    return TrainingDivergedError(
        f"the last {batches} batches had a non-finite loss or gradient; "
        "a smaller learner.learning_rate or learner.max_grad_norm may help"
    )


def to_array(tensor: Tensor) -> NDArray[Any]:
    """Copy a tensor of any device to an array."""
    array: NDArray[Any] = tensor.detach().to("cpu", copy=True).numpy()
    return array


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Copy named tensors, such as a `state_dict`, to arrays."""
    return {name: to_array(tensor) for name, tensor in tensors.items()}


def to_tensor(value: Tensor | NDArray[Any]) -> Tensor:
    """Copy an array or a CPU tensor to a CPU tensor."""
    # A copy, because what was handed in stays as it is; and Ray's arrays cannot be written to.
    return value.clone() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))


def load_agent(agent: nn.Module, state_dict: Mapping[str, Tensor | NDArray[Any]]) -> None:
    """Copy parameters and buffers into an agent, or into any other network.

    Raises:
        ValueError: if they are another network's.
    """
    own = agent.state_dict()
    for name in sorted(own.keys() | state_dict.keys()):
        here, there = own.get(name), state_dict.get(name)
        if here is None or there is None or here.shape != there.shape:
            raise ValueError(
                f"the checkpoint holds another network: {name} is "
                f"{'absent' if there is None else list(there.shape)} there and "
                f"{'absent' if here is None else list(here.shape)} here"
            )
    agent.load_state_dict({name: to_tensor(value) for name, value in state_dict.items()})


def optimiser_arrays(
    network: nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, dict[str, NDArray[Any]]]:
    """Copy what an optimiser keeps of each parameter, by the parameter's name."""
    named = network.named_parameters()
    return {name: to_arrays(optimiser.state[parameter]) for name, parameter in named}


def check_optimiser(
    network: nn.Module, arrays: Mapping[str, Mapping[str, Tensor | NDArray[Any]]]
) -> None:
    """Check that what `optimiser_arrays` returned is of this network.

    Raises:
        ValueError: if it is of another one.
    """
    for name, parameter in network.named_parameters():
        # What is not one number, as the count of steps is, has the shape of the parameter.
        shapes = {value.shape for value in arrays.get(name, {}).values() if value.ndim}
        if name not in arrays or shapes - {parameter.shape}:
            raise ValueError(
                f"the checkpoint holds the optimiser of another network: that of {name} is "
                f"{sorted(map(list, shapes)) or 'absent'} there and {list(parameter.shape)} here"
            )


def load_optimiser(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    arrays: Mapping[str, Mapping[str, Tensor | NDArray[Any]]],
) -> None:
    """Go on with what `optimiser_arrays` returned.

    Raises:
        ValueError: if it is of another network.
    """
    check_optimiser(network, arrays)
    for name, parameter in network.named_parameters():
        optimiser.state[parameter] = {
            # PyTorch counts its steps on the CPU.
            key: to_tensor(value).to(parameter.device if key != "step" else "cpu")
            for key, value in arrays[name].items()
        }
