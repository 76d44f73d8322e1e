"""The configuration section `episodes`: which images, and how they become sequences."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

EMBEDDED = ("glyphs", "sprites")
"""Data sets that need no files of the user's; their images are drawn anew each time."""

DataName = Literal[
    "glyphs",
    "sprites",
    "folder",
    "omniglot",
    "miniimagenet",
    "torchmeta",
    "fc100",
    "tieredimagenet",
]


class DataConfig(BaseModel):
    """One data set. A name alone, such as `glyphs`, stands for `{name: glyphs}`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    name: DataName
    """Name of the data set."""
    root: str | None = None
    """Folder with the files of the data set; `glyphs` and `sprites` need none. By default the
    folder in `episodes.root` that has the name of the data set."""
    size: Annotated[int, Field(ge=8, le=256)] | None = None
    """Height and width in pixels to which images are resized; null: as the data set has them."""
    channels: Literal[1, 3] | None = None
    """1: grey, 3: RGB, null: as the data set has them."""
    difficulty: Annotated[float, Field(ge=0, le=2)] = 1.0
    """How strongly `glyphs` and `sprites` are distorted; 0: not at all."""
    normalise: Literal["none", "imagenet"] = "none"
    """`imagenet`: subtract ImageNet's mean colour and divide by its deviation (RGB only)."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _fits_the_data_set(self) -> DataConfig:
        if self.name in EMBEDDED:
            if self.root is not None:
                raise ValueError(
                    f"root {self.root!r} has no effect: {self.name} needs no files, leave it out"
                )
        elif self.root is None:
            raise ValueError(f"root is missing: the folder with the files of {self.name}")
        elif self.difficulty != type(self).model_fields["difficulty"].default:
            raise ValueError(
                f"difficulty {self.difficulty} is for {' and '.join(EMBEDDED)}, "
                f"not for {self.name}: leave it out"
            )
        grey = 1 if self.name in ("glyphs", "omniglot") else None
        if self.normalise == "imagenet" and (self.channels or grey) == 1:
            raise ValueError("normalise 'imagenet' needs three channels: set channels to 3")
        return self


class EpisodesConfig(BaseModel):
    """Episodes: `n_way` classes, `k_shot` labelled images of each, `n_query` to be classified.

    One entry in `tasks` is few-shot learning. Two are sequential adaptation: the second task
    follows in the same sequence, and nothing marks the switch.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    tasks: tuple[DataConfig, ...]
    """Data sets, one for each task of a sequence: one is few-shot learning, two are sequential
    adaptation."""
    root: str = "data"
    """Folder for data sets that need files, each in a folder of its name, such as
    `data/miniimagenet`. A task may name another folder as its own `root`."""
    n_way: Annotated[int, Field(ge=2)] = 5
    """Classes of each task."""
    k_shot: Annotated[int, Field(ge=1)] = 1
    """Labelled images of each class."""
    n_query: Annotated[int, Field(ge=1)] = 1
    """Queries at the end of each task's part; with delayed labels there are none."""
    labels: Literal["synchronous", "delayed"] = "synchronous"
    """`synchronous`: an image comes with its own label, queries with a dummy, and only queries
    are scored. `delayed`: an image comes with the label of the one before, and all are scored."""
    unknown_label: bool = False
    """The dummy label is a symbol of its own, number `n_way`, in place of class 0."""
    shorten: Annotated[int, Field(ge=0)] = 0
    """In training, the part of each task loses its last 0 to `shorten` images, by chance."""
    task_order: Literal["fixed", "random"] = "fixed"
    """`fixed`: as `tasks` lists them; `random`: in an order drawn for each batch."""

    @property
    def label_symbols(self) -> int:
        """Number of different labels that go in; what comes out is one of `n_way`."""
        return self.n_way + self.unknown_label

    @model_validator(mode="before")
    @classmethod
    def _tasks_have_roots(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        root = data.get("root", cls.model_fields["root"].default)
        tasks = data.get("tasks")
        if isinstance(root, str) and isinstance(tasks, list | tuple):
            data = {**data, "tasks": [_with_root(task, root) for task in tasks]}
        return data

    @field_validator("tasks", mode="before")
    @classmethod
    def _is_a_list(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or not value:
            raise ValueError(f"a list of data sets is needed, such as [glyphs], not {value!r}")
        return tuple(value)

    @model_validator(mode="after")
    def _goes_together(self) -> EpisodesConfig:
        if self.labels == "delayed":
            if self.n_query != 1:
                raise ValueError(
                    f"n_query {self.n_query} has no effect with delayed labels: leave it out"
                )
            if self.shorten >= self.n_way * self.k_shot:
                raise ValueError(
                    f"shorten {self.shorten} may leave nothing of a task's "
                    f"{self.n_way * self.k_shot} pictures: set at most "
                    f"{self.n_way * self.k_shot - 1}"
                )
        elif self.shorten:
            raise ValueError(f"shorten {self.shorten} needs labels 'delayed': leave it out")
        if self.task_order == "random" and len(self.tasks) == 1:
            raise ValueError("task_order 'random' needs at least two tasks: leave it out")
        return self


def _with_root(task: Any, root: str) -> Any:
    """Give a task without a root, as it was written, the folder of its name in `root`."""
    if isinstance(task, str):
        task = {"name": task}
    if not isinstance(task, dict) or task.get("root") is not None:
        return task
    name = task.get("name")
    known = name in get_args(DataName) and name not in EMBEDDED
    return {**task, "root": os.path.join(root, str(name))} if known else task
