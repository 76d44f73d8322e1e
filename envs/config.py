"""The configuration section `envs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from envs.registry import check_registered, module_of
from envs.suites import EXPLORATION_LEVELS, GAMES, SUITES, Mode, modes_of

LAST_LEVEL = 2**31 - 1

NonNegative = Annotated[int, Field(ge=0)]


class EnvsConfig(BaseModel):
    """Which tasks are played, and on which levels.

    An entry of `tasks` is a ProcGen game, a suite, a Gymnasium id (also `module:id`, which imports
    the module first) or `gym:ID` for the old gym. A suite stands for its games and brings its
    distribution mode and number of levels, unless these are given. Once validated, `tasks` holds
    no suites and all values are concrete: what is dumped loads again as an equal configuration.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    tasks: tuple[str, ...]
    """Names of tasks: ProcGen games, suites, Gymnasium ids (`module:id` imports the module first)
    or `gym:ID` for the old gym. The environments share the tasks equally."""
    distribution_mode: Mode = "easy"
    """Difficulty of ProcGen's levels. A suite brings its own."""
    num_levels: NonNegative = 200
    """Number of ProcGen's training levels: `start_level` and those after it. 0 is all levels. A
    suite brings its own."""
    start_level: NonNegative = 0
    """The first of ProcGen's training levels."""
    threads: NonNegative = 0
    """ProcGen's C++ threads in each vector environment; 0 steps in the calling thread."""

    @property
    def is_procgen(self) -> bool:
        """Whether the tasks are games of ProcGen; all of them are or none is."""
        return self.tasks[0] in GAMES

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that tasks of the form `module:id` import."""
        return tuple(filter(None, map(module_of, self.tasks)))

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("tasks"), list | tuple):
            return data
        implied: dict[str, Any] = {}
        if data.get("distribution_mode") == "exploration":
            levels = [EXPLORATION_LEVELS.get(str(task)) for task in data["tasks"]]
            if len(levels) == 1 and levels[0] is not None:
                implied = {"num_levels": 1, "start_level": levels[0]}
        suites = {str(task): SUITES[str(task)] for task in data["tasks"] if str(task) in SUITES}
        for key in ("distribution_mode", "num_levels"):
            values = {name: getattr(suite, key) for name, suite in suites.items()}
            values = {name: value for name, value in values.items() if value is not None}
            if key not in data and len(set(values.values())) > 1:
                listed = ", ".join(f"{value!r} in {name}" for name, value in values.items())
                raise ValueError(f"{key} differs between the suites ({listed}): set it")
            if values:
                implied[key] = next(iter(values.values()))
        return {**implied, **data}

    @field_validator("tasks", mode="before")
    @classmethod
    def _expand(cls, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"a list is needed, such as [bigfish, maze], not {value!r}")
        if not value:
            raise ValueError("at least one task is needed")
        tasks: list[str] = []
        for entry in value:
            if not isinstance(entry, str):
                raise ValueError(f"each task is a name, not {entry!r}")
            games = SUITES[entry].tasks if entry in SUITES else (entry,)
            for task in games:
                if task in tasks:
                    raise ValueError(f"task {task!r} is there twice")
                if task not in GAMES:
                    check_registered(task)
                tasks.append(task)
        others = [task for task in tasks if task not in GAMES]
        if others and len(others) < len(tasks):
            game = next(task for task in tasks if task in GAMES)
            raise ValueError(
                f"{game!r} is a ProcGen game and {others[0]!r} is not: do not mix them"
            )
        return tuple(tasks)

    @model_validator(mode="after")
    def _levels_exist(self) -> EnvsConfig:
        if not self.is_procgen:
            for key in ("distribution_mode", "num_levels", "start_level", "threads"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(
                        f"{key} {getattr(self, key)!r} is for ProcGen, and {self.tasks[0]!r} is "
                        "none of its games: leave it out"
                    )
            return self
        for game in self.tasks:
            if self.distribution_mode not in modes_of(game):
                raise ValueError(
                    f"distribution_mode {self.distribution_mode!r} does not exist for {game!r}: "
                    f"it has {', '.join(modes_of(game))}"
                )
        if self.distribution_mode == "exploration":
            self._is_one_level()
        if self.num_levels == 0 and self.start_level:
            raise ValueError(
                f"start_level {self.start_level} has no effect with num_levels 0, which is all "
                "levels: leave it out or set num_levels"
            )
        if self.start_level + self.num_levels > LAST_LEVEL:
            raise ValueError(
                f"start_level {self.start_level} with num_levels {self.num_levels} goes beyond "
                f"the last level, {LAST_LEVEL}"
            )
        return self

    def _is_one_level(self) -> None:
        if len(self.tasks) > 1:
            raise ValueError(
                "distribution_mode 'exploration' is one level of one game, and tasks has "
                f"{len(self.tasks)}: name one"
            )
        level = EXPLORATION_LEVELS[self.tasks[0]]
        if (self.num_levels, self.start_level) != (1, level):
            raise ValueError(
                f"distribution_mode 'exploration' is level {level} of {self.tasks[0]!r}: "
                "leave num_levels and start_level out"
            )
