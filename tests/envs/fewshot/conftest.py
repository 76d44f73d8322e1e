from __future__ import annotations

import pytest

from tests.envs.fewshot.loading import WRITERS


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Folders with a tiny data set of each format; not to be changed."""
    roots = {name: tmp_path_factory.mktemp(name) for name in WRITERS}
    for name, write in WRITERS.items():
        write(roots[name])
    return roots
