"""Rollouts: what workers send and the learner reads, T steps of N environments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.shapes import check

ENVIRONMENT_AXIS: Mapping[str, int] = MappingProxyType(
    {
        "obs": 1,
        "reward": 1,
        "first": 1,
        "action": 1,
        "logits": 1,
        "final_value": 1,
        "version": 0,
        "state": 0,
    }
)
"""The axis of each field of a `Rollout` that counts environments; of every part of a state."""


def map_fields(
    function: Callable[..., Any], *items: Any, names: Iterable[str] = ENVIRONMENT_AXIS
) -> dict[str, Any]:
    """Apply a function to each array of a rollout, or of several, or of a batch.

    Args:
        function: called with the axis of the environments and one array of each item.
        items: of the same type, with states of equally many parts.
        names: of the fields.

    Returns:
        The results by the name of the field; those of `state` as a tuple.
    """
    results = {}
    for name in names:
        axis, values = ENVIRONMENT_AXIS[name], [getattr(item, name) for item in items]
        if name == "state":
            results[name] = tuple(function(axis, *parts) for parts in zip(*values, strict=True))
        else:
            results[name] = function(axis, *values)
    return results


def columns_of(
    item: Any, start: int, stop: int, names: Iterable[str] = ENVIRONMENT_AXIS
) -> dict[str, Any]:
    """Return the fields of a rollout or a batch, of the environments [start, stop), not copied."""
    part = slice(start, stop)
    return map_fields(lambda axis, x: x[:, part] if axis else x[part], item, names=names)


class Rollout(NamedTuple):
    """T steps of N environments, and the observation after the last one.

    `first[t]` says that `obs[t]` opens an episode; `reward[t]` arrived together with `obs[t]`, so
    `reward[t + 1]` answers `action[t]`, which was chosen at `obs[t]` with `logits[t]`. The next
    rollout of the same environments starts at this one's last observation.

    Where action t truncated an episode, as a time limit does, `final_value[t]` is the value of the
    observation at which it was cut. Only the worker has that observation, and the state that was
    carried to it, so the value is the estimate of the weights that acted. All other values that
    V-trace uses are of the learner's weights; this one is older by the lag.
    """

    obs: NDArray[np.generic]  # [T+1, N, ...], as the environment gives them
    reward: NDArray[np.float32]  # [T+1, N], unclipped
    first: NDArray[np.bool_]  # [T+1, N]
    action: NDArray[np.int64]  # [T, N]
    logits: NDArray[np.float32]  # [T, N, A], of the behaviour policy
    final_value: NDArray[np.float32]  # [T, N], 0 where no episode was truncated
    version: NDArray[np.int64]  # [N], of the weights that acted
    state: tuple[NDArray[np.float32], ...]  # each [N, ...], the core's state before obs[0]

    @property
    def num_envs(self) -> int:
        """N."""
        return self.first.shape[1]

    def columns(self, start: int, stop: int) -> Rollout:
        """Return the environments [start, stop) alone, without a copy."""
        return Rollout(**columns_of(self, start, stop))

    def arrays(self) -> list[NDArray[Any]]:
        """Return the arrays of all fields, those of the state one by one."""
        found: list[NDArray[Any]] = []
        map_fields(lambda _, array: found.append(array), self)
        return found


def join(
    rollouts: Sequence[Rollout],
    concatenate: Callable[[Sequence[NDArray[Any]], int], NDArray[Any]] | None = None,
) -> Rollout:
    """Put rollouts of one length side by side, along their environments.

    Args:
        rollouts: at least one.
        concatenate: makes one array of several along an axis; by default NumPy's, which a single
            rollout is spared.

    Raises:
        ValueError: if a rollout is not one, or is not of the environments and the core of the rest.
    """
    for rollout in rollouts:
        _check(rollout)
    for rollout in rollouts[1:]:
        _check_alike(rollout, rollouts[0])
    if concatenate is None:
        if len(rollouts) == 1:
            return rollouts[0]
        concatenate = np.concatenate
    return Rollout(**map_fields(lambda axis, *arrays: concatenate(arrays, axis), *rollouts))


def _check(rollout: Rollout) -> None:
    check(
        "join",
        action=(rollout.action, "int64 [T, N]"),
        logits=(rollout.logits, "float [T, N, A]"),
        final_value=(rollout.final_value, "float [T, N]"),
        reward=(rollout.reward, "float [T+1, N]"),
        first=(rollout.first, "bool [T+1, N]"),
        obs=(rollout.obs, "any [T+1, N, ...]"),
        version=(rollout.version, "int64 [N]"),
        **{f"state[{i}]": (part, "any [N, ...]") for i, part in enumerate(rollout.state)},
    )


def _check_alike(rollout: Rollout, other: Rollout) -> None:
    """Refuse rollouts whose arrays would not lie side by side as they are."""

    def layout(axis: int, array: NDArray[Any]) -> tuple[Any, ...]:
        return array.dtype, *array.shape[:axis], *array.shape[axis + 1 :]

    ours, theirs = map_fields(layout, rollout), map_fields(layout, other)
    for name, found in ours.items():
        if found != theirs[name]:
            raise ValueError(
                f"join: {name} of an environment must be the same in all rollouts, but is "
                f"{_text(found)} and {_text(theirs[name])}"
            )


def _text(layouts: tuple[Any, ...]) -> str:
    """Name dtype and sizes, such as `float32 [50, 4]`; of a state, those of each part."""
    if not layouts or isinstance(layouts[0], tuple):
        return ", ".join(map(_text, layouts)) or "nothing"
    dtype, *sizes = layouts
    return f"{dtype} {sizes}"
