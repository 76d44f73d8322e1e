"""From a data set's configuration to its pictures."""

from __future__ import annotations

import importlib

from envs.fewshot.config import DataConfig
from envs.fewshot.images import ImageSource, Split


def load_source(config: DataConfig, split: Split) -> ImageSource:
    """Load one split of a data set.

    The module of the data set's name loads it, by `load(config, split)`. It is imported only
    here: what one data set needs, such as h5py, the others do not.

    Raises:
        DataError: if its files are missing or not as they should be.
    """
    module = importlib.import_module(f"envs.fewshot.{config.name}")
    source: ImageSource = module.load(config, split)
    return source
