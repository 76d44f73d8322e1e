"""Accuracies of few-shot episodes: by task, examples seen and position, against hand counts."""

import numpy as np
import pytest
import torch

from agents import evaluating
from envs.fewshot import EpisodeSampler, StoredImages
from launch.config.fewshot import FewShotConfig
from launch.flow.episodes import build_classifier
from launch.play.fewshot import (
    FewShotResult,
    TaskScore,
    draw_fixed,
    join_seeds,
    orders,
    score_tasks,
    shuffle_labels,
)
from launch.play.intervals import Estimate, student_estimate, wilson_estimate
from learners.supervised import Evaluation, make_batch
from tests.launch.fewshot import SEQUENTIAL, SIZE, SYNCHRONOUS
from tests.launch.runs import changed

# Two tasks of three positions, four episodes; the second position of the first is not scored.
FOUND = Evaluation(
    correct=np.array(
        [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1], [1, 0, 1, 1]], bool
    ),
    loss=np.zeros((6, 4), np.float32),
    scored=np.array([[1] * 4, [0] * 4, [1] * 4, [1] * 4, [1] * 4, [1] * 4], bool),
    seen=np.array([[0] * 4, [0] * 4, [1, 1, 0, 0], [0] * 4, [0, 1, 1, 1], [1] * 4]),
    task=np.array([0, 0, 0, 1, 1, 1]),
)


def test_accuracies_are_means_over_episodes_of_the_scored_positions():
    one, two = score_tasks(FOUND, ["glyphs", "sprites"])
    assert (one.task, two.task) == ("glyphs", "sprites")
    assert one.overall == student_estimate([0.5, 1.0, 0.5, 0.0])
    assert two.overall == student_estimate([2 / 3, 1 / 3, 2 / 3, 1.0])
    assert list(one.by_position) == [0, 2]
    assert list(two.by_position) == [3, 4, 5]
    assert one.by_position[2] == wilson_estimate(2, 4)
    assert two.by_position[3] == wilson_estimate(1, 4)


def test_accuracies_by_examples_seen_leave_out_episodes_without_such_a_position():
    one, two = score_tasks(FOUND, ["glyphs", "sprites"])
    assert list(one.by_shot) == list(two.by_shot) == [0, 1]
    # After no example: in two episodes the first position alone, in two also the third.
    assert one.by_shot[0] == student_estimate([0.0, 1.0, 0.5, 0.0])
    assert one.by_shot[1] == wilson_estimate(2, 2)
    assert two.by_shot[0] == student_estimate([0.5, 0.0, 0.0, 1.0])
    assert two.by_shot[1] == student_estimate([1.0, 0.5, 1.0, 1.0])


def sources(count, classes=4, pictures=6):
    """Return sources whose pixels are random."""
    rng = np.random.default_rng(0)
    shape = (classes * pictures, SIZE, SIZE, 1)
    offsets = np.arange(classes + 1) * pictures
    names = tuple(map(str, range(classes)))
    return [
        StoredImages(rng.integers(256, size=shape, dtype=np.uint8), offsets, names)
        for _ in range(count)
    ]


def sampler_of(tree, **values):
    config = FewShotConfig.model_validate(changed(tree, **values))
    episodes = config.episodes.model_copy(update={"task_order": "fixed"})
    return config, EpisodeSampler(sources(len(episodes.tasks)), episodes, training=False)


def test_shuffled_labels_are_the_same_ones_and_say_nothing_about_the_images():
    _, sampler = sampler_of(SYNCHRONOUS, episodes__k_shot=2, episodes__n_query=2)
    batch = sampler.draw(np.random.default_rng(0), 2000)
    before = batch.label_in.copy()
    shuffle_labels(batch, np.random.default_rng(1))
    assert np.array_equal(np.sort(batch.label_in[:4], axis=0), np.sort(before[:4], axis=0))
    assert (batch.label_in[4:] == 2).all()  # "unknown" of the queries
    agree = (batch.label_in[:4] == batch.target[:4]).mean(axis=1)
    assert np.abs(agree - 0.5).max() < 0.06  # 5 standard deviations


def test_delayed_labels_are_shuffled_within_their_task():
    _, sampler = sampler_of(SEQUENTIAL)
    batch = sampler.draw(np.random.default_rng(0), 2000)
    before = batch.label_in.copy()
    shuffle_labels(batch, np.random.default_rng(1))
    assert (batch.label_in[0] == before[0]).all()  # the dummy
    # Positions 1 to 4 are given labels of the first task: each position that of the one before.
    for part in (slice(1, 5), slice(5, 8)):
        assert np.array_equal(np.sort(batch.label_in[part], axis=0), np.sort(before[part], axis=0))
    agree = (batch.label_in[1:] == batch.target[:-1]).mean(axis=1)
    # Of the second task three labels go in, two of one class: by chance 2/3 2/3 + 1/3 1/3 agree.
    assert np.abs(agree - np.array(4 * [1 / 2] + 3 * [5 / 9])).max() < 0.06


def test_both_orders_are_tried_with_the_sources_that_belong_to_the_tasks():
    _, sampler = sampler_of(SEQUENTIAL)
    same, back = orders(sampler)
    assert same is sampler
    assert back.sources == sampler.sources[::-1]
    assert back.config.tasks == sampler.config.tasks[::-1]
    assert len(orders(sampler_of(SYNCHRONOUS)[1])) == 1


def test_the_fixed_episodes_are_the_same_whenever_they_are_drawn():
    _, sampler = sampler_of(SYNCHRONOUS)
    drawn = [
        [batch.images.tobytes() for batch in draw_fixed(sampler, split, 60, shuffle)]
        for split, shuffle in [("test", False), ("test", True), ("validation", False)]
    ]
    assert len(drawn[0]) == 2
    assert drawn[0] == drawn[1] != drawn[2]


def result(seed, accuracy):
    score = TaskScore("glyphs", Estimate(accuracy, 0, 1), {1: Estimate(accuracy / 2, 0, 1)}, {})
    return FewShotResult(
        **{"runs": (f"run{seed}",), "core": "srwm", "backbone": "conv4 x32", "n_way": 5},
        **{"k_shot": 1, "trained_k_shot": 1, "n_query": 1, "labels": "synchronous"},
        **{"shuffled": False, "split": "test", "order": ("glyphs",), "episodes": 10},
        **{"checkpoint": "best", "frames": (seed * 100,), "seeds": (seed,), "tasks": (score,)},
    )


def test_the_interval_of_several_seeds_is_over_seeds():
    joined = join_seeds([result(1, 0.2), result(2, 0.4), result(3, 0.6)])
    assert (joined.runs, joined.seeds) == (("run1", "run2", "run3"), (1, 2, 3))
    assert joined.frames == (100, 200, 300)
    (score,) = joined.tasks
    assert score.overall == student_estimate([0.2, 0.4, 0.6])
    assert score.by_shot == {1: student_estimate([0.1, 0.2, 0.3])}
    assert join_seeds([result(1, 0.2)]) == result(1, 0.2)


@pytest.mark.parametrize("core", ["srwm", "delta", "lstm"])
def test_nothing_is_reset_where_the_task_switches(core):
    """One image at a time with a carried state is the whole sequence, across the switch too."""
    config, sampler = sampler_of(
        SEQUENTIAL, classifier__core=core, classifier__delta={"hidden_size": 16, "heads": 2}
    )
    torch.manual_seed(0)
    classifier = build_classifier(config, (SIZE, SIZE, 1))
    batch = make_batch(sampler.draw(np.random.default_rng(0), 3))
    # By hand: two classes with two images each, then as many of the other task.
    assert batch.task.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert torch.equal(batch.label_in[4], batch.target[3])  # not a mark: the label before
    assert batch.scored.all()
    with torch.no_grad(), evaluating(classifier):
        whole = classifier(batch.images, batch.label_in).logits
        alone = classifier(batch.images[4:], batch.label_in[4:]).logits
        state = classifier.core.initial_state(3)
        never = torch.zeros(1, 3, dtype=torch.bool)
        for t in range(8):
            features = classifier.backbone(batch.images[t]).unsqueeze(0)
            label = torch.nn.functional.one_hot(batch.label_in[t : t + 1], 2).float()
            y, state = classifier.core(torch.cat([features, label], dim=-1), never, state)
            assert torch.allclose(classifier.head(y)[0], whole[t], atol=1e-4), t
    assert (alone - whole[4:]).abs().max() > 1e-3  # what a reset would give
