"""Few-shot learning over Ray: what the driver hands out, and two learners against one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from envs.fewshot import StoredImages
from envs.fewshot.episodes import EpisodeSampler
from launch.cluster.supervised import RaySupervisedFlow
from launch.config.source import parse_config
from launch.errors import RunError, UserError
from launch.flow.base import LearnerReport
from launch.flow.episodes import Data, EpisodeStream
from launch.flow.resources import learner_share
from learners.supervised import Evaluation
from tests.launch.cluster.fakes import FakeCluster, died, no_ray
from tests.launch.runs import (
    assert_same_checkpoint,
    changed,
    copy_run,
    main,
    rows,
    without_clock,
    write_config,
)

T, B = 3 * 2 + 1, 4
TREE = {
    "total_frames": 12 * T * B,
    "log_every_frames": 2 * T * B,
    "episodes": {"tasks": [{"name": "folder", "root": "pictures"}], "n_way": 3, "k_shot": 2},
    "classifier": {
        "backbone": {"channels": 32},
        "srwm": {"hidden_size": 16, "heads": 2, "layers": 1},
    },
    # Adam's first steps are as large for a gradient that is rounding as for any other.
    "learner": {"batch_size": B, "devices": 2, "learning_rate": 1e-5},
    "validation": {"every_frames": 5 * T * B, "episodes": 120},
    "checkpoint": {"every_frames": 4 * T * B, "keep": 99},
    "launch": {"mode": "ray", "learner_threads": 1, "learner_gpus": 0.0},
}
START = {"frames": 0, "version": 0, "skipped": 0}


def config_of(**changes):
    return parse_config(changed(TREE, **changes), [], "test")


def make_flow(changes=None):
    config = config_of(**(changes or {}))
    pixels = np.random.default_rng(0).integers(256, size=(15, 16, 16, 1), dtype=np.uint8)
    source = StoredImages(pixels, np.arange(0, 16, 3), tuple("abcde"))
    samplers = (
        EpisodeSampler([source], config.episodes, training=training) for training in (True, False)
    )
    cluster = FakeCluster(
        state=START, meeting_place=("host", 1), evaluate=evaluation(), update=report
    )
    return RaySupervisedFlow(config, Data(*samplers), cluster=cluster)


def evaluation():
    """Three episodes with one answer each, two of which are right."""
    scored = np.zeros((T, 3), bool)
    scored[-1] = True
    correct, seen = np.tile([True, True, False], (T, 1)), np.full((T, 3), 2)
    return Evaluation(correct, np.ones((T, 3), np.float32), scored, seen, np.zeros(T, int))


def asked(actor, method):
    return [arguments for name, arguments, _ in actor.asked if name == method]


def report(number, *_):
    return LearnerReport(T * B * (number + 1), number + 1, {})


def updates(flow, count):
    """Return of so many updates how many had been asked for when each was reported, and scores."""
    seen = []
    for number in range(count):
        done = flow.update()
        assert (done.frames, done.version) == report(number)[:2]
        seen.append(
            (len(asked(flow.learners.actors[0], "update")), done.trial and done.trial.score)
        )
    return seen


@pytest.mark.usefixtures(no_ray.__name__)
def test_each_learner_gets_its_share_of_the_batches_that_one_learner_would_get():
    flow = make_flow()
    stream = EpisodeStream(flow.data.train, flow.config.seed, B, start=0)
    updates(flow, 3)
    first, second = (asked(actor, "update") for actor in flow.learners.actors)
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        whole = stream.take()
        for (count, cuts, publish, _, share), columns in ((one, [0, 1]), (other, [2, 3])):
            assert (count, cuts, publish) == (number, [(0, 2)], False)
            assert np.array_equal(share.images, whole.images[:, columns])
            assert np.array_equal(share.target, whole.target[:, columns])
            assert np.array_equal(share.task, whole.task)
    stream.close()
    flow.close()


@pytest.mark.usefixtures(no_ray.__name__)
def test_nothing_is_in_flight_where_the_network_is_validated_or_saved():
    flow = make_flow()  # saved after 4, 8 and 12 updates, validated after 5, 10 and 12
    seen = updates(flow, 12)
    assert [count for count, _ in seen] == [2, 3, 4, 4, 5, 7, 8, 8, 10, 10, 12, 12]
    scored = [number for number, (_, score) in enumerate(seen, start=1) if score is not None]
    assert scored == [5, 10, 12]
    assert seen[4][1] == pytest.approx(2 / 3)
    first, second = flow.learners.actors
    sizes = [batch.target.shape for (batch,) in asked(first, "evaluate")]
    assert sizes == [(T, 50), (T, 50), (T, 20)] * 3
    one, again = (asked(first, "evaluate")[number][0] for number in (1, 4))
    assert np.array_equal(one.images, again.images)
    assert not asked(second, "evaluate")
    flow.close()


@pytest.mark.usefixtures(no_ray.__name__)
@pytest.mark.parametrize("rank", [0, 1])
def test_a_learner_that_dies_ends_the_run_in_one_line(rank):
    flow = make_flow()
    updates(flow, 1)
    dead = flow.learners.actors[rank]
    dead.answers = {"update": died(), "state": died()}
    dead.refs("update")[1][0].set(died())
    if rank == 0:
        assert flow.save().learner == START  # the newest that is here
    with pytest.raises(RunError, match=r"^a learner failed: its process died \([^\n]*\)$"):
        flow.update()
    flow.close()
    assert all(actor.killed for actor in flow.learners.actors)


@pytest.mark.usefixtures(no_ray.__name__)
def test_a_learner_that_dies_while_it_validates_or_starts():
    flow = make_flow({"validation__every_frames": 1})
    flow.learners.actors[0].answers["evaluate"] = died()
    with pytest.raises(RunError, match="a learner failed: its process died"):
        updates(flow, 1)
    flow.close()
    with pytest.raises(RunError, match="a learner did not start: its process died"):
        RaySupervisedFlow(
            flow.config, flow.data, cluster=FakeCluster(start=died(), meeting_place=None)
        )


def test_several_learners_have_a_whole_gpu_each():
    assert learner_share(0, config_of(launch__learner_gpus=1.0)) == 0
    assert learner_share(2, config_of(launch__learner_gpus=1.0)) == 1
    with pytest.raises(UserError, match=r"2 learners x launch.learner_gpus 1 do not fit on the 1"):
        learner_share(1, config_of(launch__learner_gpus=1.0))
    with pytest.raises(UserError, match=r"launch.learner_gpus 0.5 .* need a whole GPU each"):
        config_of(launch__learner_gpus=0.5)
    with pytest.raises(UserError, match=r"learner.devices 2 needs launch.mode ray"):
        config_of(launch__mode="local")


def write_pictures(root):
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for label in range(5):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for number in range(3):
                pixels = rng.integers(256, size=(16, 16), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_learners_report_what_one_would_and_resume_exactly():
    write_pictures(Path("pictures"))
    config = str(write_config(Path("c.yaml"), TREE))
    alone = ["launch.mode=local", "learner.devices=1"]
    assert main("fewshot", config, "run_dir=alone", *alone) == 0
    assert main("fewshot", config, "run_dir=run") == 0
    ours, truth = (without_clock(rows(Path(name))) for name in ("run", "alone"))
    assert [row["frames"] for row in ours] == [n * T * B for n in (2, 4, 6, 8, 10, 12)]
    for row, wanted in zip(ours, truth, strict=True):
        assert row.keys() == wanted.keys()
        # The memory's numbers are of the first learner's share.
        for name in (name for name in row if not name.startswith(("memory/", "queue/"))):
            assert row[name] == pytest.approx(wanted[name], rel=1e-3, abs=1e-6), name
    middle, last = 8 * T * B, 12 * T * B
    resumed = copy_run(Path("run"), Path("resumed"), until=middle)
    assert main("fewshot", "--resume", str(resumed)) == 0
    again = without_clock(rows(resumed))
    for row in (*ours, *again):
        del row["queue/depth"]
    assert again == ours
    assert_same_checkpoint(Path("run"), resumed, last)
