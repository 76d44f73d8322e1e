"""Local mode: a run that is killed at any moment, and resumed, is the run that was not."""

import signal

import pytest

from launch.flow.local import LocalFlow
from tests.launch.runs import (
    PROCGEN,
    assert_same_checkpoint,
    changed,
    checkpoints,
    main,
    plain_values,
    rows,
    train,
    without_clock,
    write_config,
)

pytestmark = pytest.mark.slow

# An update is of 15 frames, a row and a checkpoint of two updates.
TREE = changed(PROCGEN, total_frames=120, log_every_frames=30, checkpoint__every_frames=30)


class Killed(BaseException):
    """Stands for SIGKILL: nobody handles it, and nothing more is saved."""


@pytest.fixture(scope="module", params=["srwm", "lstm"])
def whole(request, tmp_path_factory):
    """Return the configuration of a run, and the folder of that run, never interrupted."""
    tree = changed(TREE, agent__core=request.param)
    return tree, train(tmp_path_factory.mktemp(request.param), tree, "whole")


@pytest.fixture
def interrupt(monkeypatch):
    """Return a function that lets something happen before an update, in this process."""
    good = LocalFlow.update

    def interrupt(number, how):
        updates = iter(range(1, number + 1))

        def update(flow):
            if next(updates, None) == number:
                how()
            return good(flow)

        monkeypatch.setattr(LocalFlow, "update", update)
        return lambda: monkeypatch.setattr(LocalFlow, "update", good)

    return interrupt


def kill():
    raise Killed


# In the middle of a row; between two rows, when no unroll waits; two updates before the end.
@pytest.mark.parametrize(("update", "saved"), [(4, 30), (5, 60), (8, 90)])
def test_a_killed_and_resumed_run_is_the_uninterrupted_one(
    update, saved, whole, interrupt, tmp_path
):
    tree, reference = whole
    run = tmp_path / "run"
    config = write_config(tmp_path / "c.yaml", {**tree, "run_dir": str(run)})
    mend = interrupt(update, kill)
    with pytest.raises(Killed):
        main("train", str(config))
    mend()
    assert checkpoints(run)[-1] == saved
    waiting = plain_values(run, saved)["waiting"]
    assert bool(waiting) == (saved != 60)
    assert main("train", "--resume", str(run)) == 0
    assert checkpoints(run) == checkpoints(reference) == [30, 60, 90, 120]
    assert without_clock(rows(run)) == without_clock(rows(reference))
    for frames in checkpoints(run):
        assert_same_checkpoint(run, reference, frames)


def test_a_run_that_a_signal_stops_within_a_row_ends_in_the_same_state(whole, interrupt, tmp_path):
    tree, reference = whole
    run = tmp_path / "run"
    config = write_config(tmp_path / "c.yaml", {**tree, "run_dir": str(run)})
    mend = interrupt(3, lambda: signal.raise_signal(signal.SIGTERM))
    assert main("train", str(config)) == 0
    mend()
    assert checkpoints(run) == [30, 45]
    assert main("train", "--resume", str(run)) == 0
    assert_same_checkpoint(run, reference, 120)
