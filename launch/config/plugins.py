"""Plug-ins: modules of your own that register cores, encoders, suites and environments.

A configuration names them in `imports`. An installed package names them as entry points of the
group `srwm.plugins`, and they are imported in every run.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sysconfig
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path

GROUP = "srwm.plugins"


def import_plugins(modules: Iterable[str]) -> None:
    """Import the installed plug-ins and these modules; those that are imported stay as they are.

    Raises:
        ValueError: if one cannot be imported, naming it.
    """
    _import_installed()
    for module in modules:
        _attempt(f"imports: {module!r}", module, functools.partial(importlib.import_module, module))


@functools.cache
def _import_installed() -> None:
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist else "an unknown package"
        _attempt(f"plug-in {entry.name!r} of {package}", entry.module, entry.load)


def _attempt(what: str, module: str, load: Callable[[], object]) -> None:
    try:
        load()
    except (Exception, SystemExit) as error:  # whatever a user's module may raise
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
            reason = "no such module in this folder, on PYTHONPATH or among the installed packages"
        raise ValueError(f"{what} cannot be imported: {reason}") from None


def own_modules(modules: Iterable[str]) -> list[str]:
    """Return the file or folder of each module, without the modules of installed packages.

    Ray sends them to the other nodes of a cluster; a package that is installed here must be
    installed there too.
    """
    installed = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib")]
    paths = []
    for name in dict.fromkeys(module.partition(".")[0] for module in modules):
        spec = importlib.util.find_spec(name)
        assert spec is not None  # it has been imported
        path = next(iter(spec.submodule_search_locations or ()), spec.origin)
        if path and not any(folder in Path(path).parents for folder in installed):
            paths.append(path)
    return paths
