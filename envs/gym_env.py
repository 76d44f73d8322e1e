"""Environments of Gymnasium and of the old gym, stepped one after the other in this process."""

from __future__ import annotations

import inspect
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.checked import CheckedEnv
from envs.faults import EnvFault
from envs.observations import VECTORS, Reader, is_image, make_reader, parts_of
from envs.registry import api_of, make
from envs.vector import NO_FINAL, EnvSpec, Timestep

_HEAD = struct.Struct("<f?q")  # reward, first, steps on the time limit's counter (-1: no limit)


STATELESS_WRAPPERS = ("OrderEnforcing", "PassiveEnvChecker")


class GymVectorEnv:
    """N registered environments; environment i is of `tasks[i]`.

    Observations are uint8 images [H, W, C], or vectors of float32: what is of a Box, Discrete,
    MultiDiscrete or MultiBinary space, or of a Tuple or Dict of these, is flattened to a vector in
    which a discrete value is one-hot. Actions are discrete.
    The environments can be saved if each has `get_state() -> bytes` and `set_state(bytes)` for its
    complete state, its random generator included, and no wrapper with a state of its own other
    than a time limit.

    Args:
        tasks: the N names.
        seeds: N seeds, each given at the first reset and never again.
        options: more arguments of `gymnasium.make`, such as `render_mode`.

    Raises:
        ValueError: if a task cannot be played here, or does not go together with the others.
        EnvFault: here and in each method, if an environment fails or breaks its contract.
    """

    def __init__(self, tasks: Sequence[str], *, seeds: Sequence[int], **options: Any) -> None:
        self.tasks = tuple(tasks)
        self.num_envs = len(self.tasks)
        made = [(task, make(task, **options)) for task in self.tasks]
        self.spec = _common_spec([(task, _spec_of(task, env)) for task, env in made])
        self.envs = [CheckedEnv(task, env, _reader(task, env)) for task, env in made]
        self._now = Timestep(
            np.zeros((self.num_envs, *self.spec.observation_shape), self.spec.observation_dtype),
            np.zeros(self.num_envs, np.float32),
            np.ones(self.num_envs, np.bool_),
        )
        for i, (env, seed) in enumerate(zip(self.envs, seeds, strict=True)):
            self._now.obs[i] = env.reset(seed)

    def act(self, action: NDArray[np.integer]) -> None:
        """See `VectorEnv`."""
        obs, reward, first, _ = self._now
        final = {}
        for i, env in enumerate(self.envs):
            step = env.step(int(action[i]))
            reward[i] = step.reward
            first[i] = step.terminated or step.truncated
            if step.truncated and not step.terminated:
                # A copy: an environment may draw its next observation into the same memory.
                final[i] = np.array(step.observation, obs.dtype)
            obs[i] = env.reset() if first[i] else step.observation
        self._now = self._now._replace(final=final or NO_FINAL)

    def observe(self) -> Timestep:
        """See `VectorEnv`."""
        return self._now

    def save(self) -> list[bytes] | None:
        """See `VectorEnv`."""
        states = []
        for i, checked in enumerate(self.envs):
            env = checked.env
            if not _can_be_saved(env):
                return None
            limit = _time_limit(env)
            head = _HEAD.pack(
                self._now.reward[i], self._now.first[i], limit._elapsed_steps if limit else -1
            )
            with checked.guard("get_state()"):
                state = env.unwrapped.get_state()
            states.append(head + self._now.obs[i].tobytes() + state)
        return states

    def restore(self, states: Sequence[bytes]) -> None:
        """See `VectorEnv`."""
        if len(states) != self.num_envs:
            raise ValueError(f"{len(states)} states do not go with {self.num_envs} environments")
        self._now = self._now._replace(final=NO_FINAL)
        obs, reward, first, _ = self._now
        size = self.spec.observation_bytes
        for i, (checked, state) in enumerate(zip(self.envs, states, strict=True)):
            env = checked.env
            limit = _time_limit(env)
            if len(state) < _HEAD.size + size:
                raise ValueError(f"state {i} has {len(state)} bytes: not one of {self.tasks[i]!r}")
            reward[i], first[i], elapsed = _HEAD.unpack_from(state)
            if (limit is None) != (elapsed < 0):
                raise ValueError(f"state {i} and {self.tasks[i]!r} differ in having a time limit")
            if limit is not None:
                limit._elapsed_steps = elapsed
            frame = np.frombuffer(state, obs.dtype, obs[i].size, _HEAD.size)
            obs[i] = frame.reshape(obs[i].shape)
            with checked.guard("set_state()"):
                env.unwrapped.set_state(state[_HEAD.size + size :])

    def close(self) -> None:
        """See `VectorEnv`."""
        for env in self.envs:
            env.close()


def gym_spec(tasks: Sequence[str]) -> EnvSpec:
    """Build one environment of each task, and return what they share.

    Raises:
        ValueError: if a task cannot be played here, or does not go together with the others.
        EnvFault: if an environment fails.
    """
    specs = []
    for task in tasks:
        env = make(task)
        specs.append((task, _spec_of(task, env)))
        CheckedEnv(task, env, _reader(task, env)).close()
    return _common_spec(specs)


def _spec_of(task: str, env: Any) -> EnvSpec:
    spaces = api_of(task).spaces
    try:
        inspect.signature(env.unwrapped.reset).bind_partial(seed=0)
    except TypeError:
        raise ValueError(
            f"task {task!r} has the API of gym before 0.26 (its reset() takes no seed): wrap it "
            "for gym 0.26 or Gymnasium"
        ) from None
    if not isinstance(env.action_space, spaces.Discrete):
        raise ValueError(f"task {task!r}: actions must be Discrete, not {_line(env.action_space)}")
    space, actions = env.observation_space, int(env.action_space.n)
    if not isinstance(space, spaces.Space):
        raise ValueError(f"task {task!r}: observation_space must be a space, not {space!r:.60}")
    if is_image(space):
        return EnvSpec(tuple(space.shape), "uint8", actions)
    for part in parts_of(space, spaces):
        if not isinstance(part, tuple(getattr(spaces, name) for name in VECTORS)):
            raise ValueError(
                f"task {task!r}: observations must be uint8 images [H, W, C], or made of "
                f"{', '.join(VECTORS)}, Tuple and Dict spaces, not of {_line(part)}"
            )
    return EnvSpec(tuple(spaces.flatten_space(space).shape), "float32", actions)


def _line(space: Any) -> str:
    return " ".join(str(space).split())


def _reader(task: str, env: Any) -> Reader:
    return make_reader(env.observation_space, api_of(task).spaces)


def _common_spec(specs: Sequence[tuple[str, EnvSpec]]) -> EnvSpec:
    (task, spec), *others = specs
    for other, its in others:
        for key, ours, theirs in zip(EnvSpec._fields, spec, its, strict=True):
            if ours != theirs:
                which = f"{key} is {ours!r} in the one, {theirs!r} in the other"
                if task == other:
                    raise EnvFault(task, "its spaces", f"differ between two instances: {which}")
                raise ValueError(f"tasks {task!r} and {other!r} do not go together: {which}")
    return spec


def _can_be_saved(env: Any) -> bool:
    if not all(hasattr(env.unwrapped, method) for method in ("get_state", "set_state")):
        return False
    while env is not env.unwrapped:
        if type(env).__name__ not in ("TimeLimit", *STATELESS_WRAPPERS):
            return False
        env = env.env
    return True


def _time_limit(env: Any) -> Any | None:
    """Return the wrapper that counts the steps of an episode, if there is one."""
    while env is not env.unwrapped:
        if type(env).__name__ == "TimeLimit":
            return env
        env = env.env
    return None
