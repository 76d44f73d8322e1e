"""Screen: one environment with the pictures that a person sees of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.config import EnvsConfig
from envs.faults import EnvFault
from envs.gym_env import GymVectorEnv
from envs.observations import is_image
from envs.procgen_env import ProcgenVectorEnv
from envs.registry import make
from envs.seeds import mix_seed
from envs.vector import VectorEnv

Picture = NDArray[np.uint8]


class Screen(NamedTuple):
    """One environment, and what a person sees of it."""

    env: VectorEnv  # N = 1
    frame: Callable[[], Picture] | None
    """Draws the current timestep, [H, W, 3]; None where the observation is all that can be seen."""
    action_names: tuple[str, ...]  # A
    level: int | None  # of the first episode; None outside ProcGen


def make_screen(config: EnvsConfig, *, seed: int) -> Screen:
    """Build the first environment of `make_env(config, ...)` so that it can be drawn.

    A ProcGen game is drawn in 512 x 512 pixels, another environment by its `rgb_array` rendering.
    One that renders nothing has to have images as observations.

    Args:
        config: whose first task is played.
        seed: of all chance in it, at least 0.

    Raises:
        ValueError: if the task cannot be played here, or cannot be drawn.
    """
    task = config.tasks[0]
    seed = mix_seed(seed, 0)
    if config.is_procgen:
        game = ProcgenVectorEnv(config, [task], seed=seed, render=True)
        return Screen(game, game.frame, game.action_names(), game.level())
    renders = "rgb_array" in _render_modes(task)
    env = GymVectorEnv([task], seeds=[seed], **({"render_mode": "rgb_array"} if renders else {}))
    inner = env.envs[0].env
    try:
        if not renders and not is_image(inner.observation_space):
            raise ValueError("it has no render mode 'rgb_array' and its observations are no images")
        frame = _rendering(env) if renders else None
    except (EnvFault, ValueError) as error:
        env.close()
        why = f"{error.call} {error.problem}" if isinstance(error, EnvFault) else str(error)
        raise ValueError(f"task {task!r} cannot be drawn: {why}") from None
    return Screen(env, frame, _action_names(inner, env.spec.num_actions), None)


def _render_modes(task: str) -> tuple[str, ...]:
    env = make(task)
    modes = (env.metadata or {}).get("render_modes") or ()
    env.close()
    return tuple(modes)


def _rendering(env: GymVectorEnv) -> Callable[[], Picture]:
    def frame() -> Picture:
        checked = env.envs[0]
        with checked.guard("render()"):
            picture = np.asarray(checked.env.render())
        if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8:
            problem = f"returned {picture.dtype} {list(picture.shape)}, not uint8 [H, W, 3]"
            raise EnvFault(checked.task, "render()", problem)
        return picture

    frame()  # an environment may lack its library for drawing
    return frame


def _action_names(env: Any, count: int) -> tuple[str, ...]:
    """Return the names that Atari's or MiniGrid's environments give, else numbers."""
    base = env.unwrapped
    if callable(meanings := getattr(base, "get_action_meanings", None)):
        names = [str(name).lower() for name in meanings()]
    else:
        names = [str(action.name).lower() for action in getattr(base, "actions", ())]
    return tuple(names) if len(names) == count else tuple(f"action {i}" for i in range(count))
