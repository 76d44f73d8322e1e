"""Register and make environments outside ProcGen, and check their names."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from envs.directory import restore_directory
from envs.faults import EnvFault, one_line
from envs.suites import GAMES, SUITES
from envs.watchdog import WATCHDOG

F = TypeVar("F", bound=Callable[..., Any])

OLD_GYM = "gym:"
"""Prefix of a task that lives in the registry of `gym`; without it, in that of `gymnasium`."""


OWN = ("envs.memory", "envs.minigrid_memory")
"""Modules of this package that register tasks in Gymnasium."""

IN_EXTRA = ("popgym", "minigrid")
"""Modules that register tasks and come with `pip install '.[memory]'`."""


def api_of(task: str) -> ModuleType:
    """Return the package whose registry and spaces belong to a task."""
    if not task.startswith(OLD_GYM):
        for module in OWN:
            importlib.import_module(module)
        return importlib.import_module("gymnasium")
    _drop_gym_notices()
    return importlib.import_module("gym")


def register_env(name: str, **options: Any) -> Callable[[F], F]:
    """Return a decorator that registers an environment, so that `envs.tasks` can name it.

    Args:
        name: the Gymnasium id, such as `corridor/Short-v0`.
        options: of `gymnasium.register`, such as `max_episode_steps` or `kwargs`.

    Returns:
        A decorator of a `gymnasium.Env` class, or of a function that returns one.

    Raises:
        ValueError: if another environment has that id.
    """
    gymnasium = api_of(name)

    def add(factory: F) -> F:
        there = _ids(gymnasium).pop(name, None)
        if there is not None and _origin(there.entry_point) != _origin(factory):
            _ids(gymnasium)[name] = there
            raise ValueError(f"environment {name!r} is registered already: choose another id")
        gymnasium.register(name, entry_point=factory, **options)
        return factory

    return add


def _origin(entry_point: Any) -> str:
    if isinstance(entry_point, str):
        return entry_point
    return f"{entry_point.__module__}:{entry_point.__qualname__}"


def module_of(task: str) -> str:
    """Return the module that a task of the form `module:id` imports, "" for another task."""
    return task.removeprefix(OLD_GYM).rpartition(":")[0]


def check_registered(task: str) -> None:
    """Check that a task names a registered environment, importing the module of `module:id`.

    Raises:
        ValueError: if it does not, naming the nearest names that exist.
    """
    module, name = module_of(task), task.rpartition(":")[2]
    if module:
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as error:  # whatever a user's module may raise
            reason = f"{type(error).__name__}: {error}"
            if isinstance(error, ModuleNotFoundError) and error.name in IN_EXTRA:
                reason += ": pip install '.[memory]'"
            raise ValueError(f"task {task!r}: cannot import {module!r}: {reason}") from None
    if name not in _ids(api_of(task)):
        raise ValueError(f"unknown task {task!r}: {_hint(task)}")


def make(task: str, **options: Any) -> Any:
    """Build a registered environment.

    Args:
        task: its name.
        options: more arguments of `gymnasium.make`, such as `render_mode`.

    Raises:
        ValueError: if it cannot be built here, with the reason.
        EnvFault: if its constructor raises an error.
    """
    api, before = api_of(task), os.getcwd()
    try:
        with WATCHDOG.watch(f"task {task!r}: its constructor"):
            # Its checker warns about style, and fails with the numpy of today in old gym.
            return api.make(task.removeprefix(OLD_GYM), disable_env_checker=True, **options)
    except (api.error.Error, ImportError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"task {task!r} cannot be made: {reason}") from None
    except (Exception, SystemExit) as error:  # whatever a user's environment may raise
        raise EnvFault(task, "its constructor", f"raised {one_line(error)}") from error
    finally:
        restore_directory(before, task)


def _drop_gym_notices() -> None:
    """Keep gym from printing that it is unmaintained, in every process that imports it.

    The notices are a table that gym looks its version up in; nothing else is silenced.
    """
    with contextlib.suppress(ImportError):  # then gym has nothing to print
        importlib.import_module("gym_notices.notices").notices.clear()


def _ids(api: ModuleType) -> dict[str, Any]:
    registry: dict[str, Any] = api.envs.registration.registry
    return registry


def _hint(task: str) -> str:
    prefix, colon, wanted = task.rpartition(":")
    # Importing procgen registers its games in gym too, with an API that is not played here.
    old = [name for name in _ids(api_of(OLD_GYM)) if not name.startswith("procgen-")]
    current = _ids(api_of(""))
    if colon:
        names = [*(old if task.startswith(OLD_GYM) else current)]
    else:
        names = [
            *GAMES,
            *SUITES,
            *current,
            *(OLD_GYM + name for name in old if name not in current),
        ]
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(wanted.lower(), by_lower, n=3)
    if not close:
        return f"give a ProcGen game, a suite ({', '.join(SUITES)}), a Gymnasium id or gym:ID"
    return f"did you mean {' or '.join(repr(prefix + colon + by_lower[name]) for name in close)}?"


def import_procgen() -> ModuleType:
    """Import `procgen`, which imports gym."""
    _drop_gym_notices()
    return importlib.import_module("procgen")
