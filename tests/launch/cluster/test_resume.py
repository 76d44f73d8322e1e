"""A Ray run that is resumed: what its learner had is what the new one has."""

import numpy as np
import pytest
import torch

from launch.cluster.flow import RayFlow
from launch.config.source import parse_config
from launch.run.folder import RunFolder
from launch.run.metrics import Metrics
from launch.run.saved import Saved
from tests.launch.runs import TMAZE, changed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FRAMES = 4 * 5  # of an update


def leaves(tree, path=""):
    """Return all arrays and values of a tree, by their path."""
    if isinstance(tree, dict):
        parts = [leaves(part, f"{path}/{name}") for name, part in tree.items()]
    elif isinstance(tree, list | tuple):
        parts = [leaves(part, f"{path}/{number}") for number, part in enumerate(tree)]
    else:
        return {path: np.asarray(tree)}
    return {name: leaf for part in parts for name, leaf in part.items()}


@pytest.mark.parametrize("core", ["srwm", "lstm"])
def test_counters_schedule_optimiser_and_generator_are_those_that_were_saved(core, tmp_path):
    tree = changed(TMAZE, launch__mode="ray", agent__core=core, learner__optimiser="adam")
    config = parse_config(tree, [], "test")
    flow = RayFlow(config)
    for _ in range(3):
        flow.update()
    saved = flow.save()
    flow.close()
    # A learner draws nothing: its generator would be where it was without being loaded, too.
    saved.learner["torch_rng"] = torch.Generator().manual_seed(7).get_state().numpy()
    before = saved.frames
    assert before >= 3 * FRAMES
    assert saved.version == before // FRAMES

    run = RunFolder(tmp_path / "run")
    run.create(config)
    run.save_checkpoint(Saved(saved, Metrics().state(), config.model_dump(mode="json")), keep=1)
    resumed = RayFlow(config, run.newest_checkpoint().flow)
    found, wanted = leaves(resumed.save().learner), leaves(saved.learner)
    report = resumed.update()
    resumed.close()

    assert found.keys() == wanted.keys()
    for name, leaf in wanted.items():
        assert found[name].dtype == leaf.dtype, name
        assert np.array_equal(found[name], leaf), name
    assert any(name.startswith("/optimiser/") and leaf.any() for name, leaf in wanted.items())
    assert (report.frames, report.version) == (before + FRAMES, before // FRAMES + 1)
    rate = 6e-4 * (1 - before / config.total_frames)
    assert report.metrics["learner/learning_rate"] == pytest.approx(rate)
