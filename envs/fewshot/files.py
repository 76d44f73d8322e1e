"""The folder with a user's data set (`root`), and the one line that says what is wrong in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from envs.fewshot.config import DataConfig
from envs.fewshot.images import DataError, Split

SHORT_NAMES: dict[Split, str] = {"train": "train", "validation": "val", "test": "test"}
"""The splits as most data sets call them in the names of their files."""

LISTED = 6
"""At most so many names of files are listed in an error."""


@dataclass(frozen=True)
class DataRoot:
    """The folder that the key `root` names.

    Attributes:
        path: the folder.
        layout: which files are expected in it, said in every error.
    """

    path: Path
    layout: str

    @classmethod
    def of(cls, config: DataConfig, layout: str) -> DataRoot:
        """Return the folder of a data set.

        Raises:
            DataError: if there is no such folder.
        """
        root = cls(Path(os.path.expanduser(config.root or "")), layout)
        if not os.path.isdir(root.path):
            raise root.error("no such folder (see episodes.root, or root of the task)")
        return root

    def file(self, name: str) -> Path:
        """Return the path of a file in the folder.

        Raises:
            DataError: if it is not there, with the names of what is there.
        """
        path = self.path / name
        if not os.path.isfile(path):
            raise self.error(f"{name} is missing, found {self.found()}")
        return path

    def found(self, folder: str = "") -> str:
        """Return a short list of what the folder, or one inside it, holds."""
        with self.reading(folder or "the folder"):
            names = sorted(os.listdir(self.path / folder))
        listed = [repr(name) for name in names[:LISTED]]
        if len(names) > LISTED:
            listed.append(f"{len(names) - LISTED} more")
        return ", ".join(listed) or "nothing"

    def error(self, problem: str) -> DataError:
        """Return an error of one line: the folder, the problem, and what is expected there."""
        problem = " ".join(problem.split())  # names of files may have line breaks
        return DataError(f"root {str(self.path)!r}: {problem}; expected in it: {self.layout}")

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Turn what a damaged file raises into an error of one line that names `what`.

        A damaged file makes zipfile, pickle, Pillow or HDF5 raise nearly any exception.
        """
        try:
            yield
        except DataError:
            raise
        except Exception as error:
            reason = str(error)[:200] or "no reason given"
            raise self.error(f"{what} cannot be read ({type(error).__name__}: {reason})") from error
