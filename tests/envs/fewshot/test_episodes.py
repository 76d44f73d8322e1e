"""Episodes, on pictures that say which class and which picture of it they are."""

from __future__ import annotations

import numpy as np
import pytest

from envs.fewshot import DataError, EpisodeSampler, EpisodesConfig, fixed_batches
from tests.envs.fewshot.counting import CountingSource


def sampler(*sources, training=True, **values):
    config = EpisodesConfig(tasks=["glyphs"] * len(sources), **values)
    return EpisodeSampler(sources, config, training=training)


def draw(*sources, batch=40, seed=0, training=True, **values):
    made = sampler(*sources or [CountingSource()], training=training, **values)
    return made.draw(np.random.default_rng(seed), batch)


def told(episodes):
    """Return what the pictures say: source, class and number, each [T, B]."""
    return np.moveaxis(episodes.images[:, :, 0, :, 0].astype(int), -1, 0)


@pytest.mark.parametrize(("shots", "queries"), [(1, 1), (3, 1), (2, 4)])
def test_support_then_queries(shots, queries):
    episodes = draw(n_way=5, k_shot=shots, n_query=queries)
    length = 5 * shots + queries
    assert episodes.images.shape == (length, 40, 1, 3, 1)
    _, classes, numbers = told(episodes)
    for b in range(40):
        target = episodes.target[:, b].tolist()
        class_of = {target[t]: classes[t, b] for t in range(5 * shots)}
        # Five classes, five labels; every class has its shots, and no picture comes twice.
        assert sorted(class_of) == [0, 1, 2, 3, 4] and len(set(class_of.values())) == 5
        assert [target[: 5 * shots].count(label) for label in range(5)] == [shots] * 5
        assert [class_of[label] for label in target] == classes[:, b].tolist()
        assert len(set(zip(classes[:, b], numbers[:, b], strict=True))) == length
        assert episodes.label_in[:, b].tolist() == target[: 5 * shots] + [0] * queries
        assert episodes.scored[:, b].tolist() == [False] * 5 * shots + [True] * queries
        assert episodes.labelled[:, b].tolist() == [True] * 5 * shots + [False] * queries
        earlier = [target[:t].count(target[t]) for t in range(5 * shots)]
        assert episodes.seen[:, b].tolist() == earlier + [shots] * queries
    assert episodes.task.tolist() == [0] * length


def test_the_unknown_label_is_a_symbol_of_its_own():
    episodes = draw(n_way=5, n_query=2, unknown_label=True)
    assert (episodes.label_in[5:] == 5).all() and (episodes.label_in[:5] < 5).all()
    assert (draw(n_way=5, labels="delayed", unknown_label=True).label_in[0] == 5).all()


def test_delayed_labels_go_on_over_the_switch():
    first, second = CountingSource(offset=0), CountingSource(offset=1)
    episodes = draw(first, second, n_way=3, k_shot=4, labels="delayed")
    sources, classes, numbers = told(episodes)
    assert episodes.task.tolist() == [0] * 12 + [1] * 12
    assert (sources == episodes.task[:, None]).all()
    assert episodes.scored.all() and episodes.labelled.all()
    for b in range(40):
        target = episodes.target[:, b].tolist()
        # Nothing marks the switch: its picture gets the last label of the first task.
        assert episodes.label_in[:, b].tolist() == [0, *target[:-1]]
        for part in (slice(0, 12), slice(12, 24)):
            mine = target[part]
            pairs = set(zip(mine, classes[part, b], strict=True))
            assert len(pairs) == 3 and len({k for _, k in pairs}) == 3
            assert [mine.count(label) for label in range(3)] == [4, 4, 4]
            assert len(set(zip(classes[part, b], numbers[part, b], strict=True))) == 12
            earlier = [mine[:t].count(mine[t]) for t in range(12)]
            assert episodes.seen[part, b].tolist() == earlier


def test_synchronous_tasks_each_end_with_their_queries():
    episodes = draw(CountingSource(), CountingSource(offset=1), n_way=2, n_query=1)
    assert episodes.task.tolist() == [0, 0, 0, 1, 1, 1]
    assert episodes.scored[:, 0].tolist() == [False, False, True] * 2


def test_parts_are_shortened_in_training_alone():
    values = {"n_way": 2, "k_shot": 3, "labels": "delayed", "shorten": 4}
    made = sampler(CountingSource(), CountingSource(offset=1), **values)
    rng = np.random.default_rng(0)
    lengths = [np.bincount(made.draw(rng, 1).task).tolist() for _ in range(600)]
    for part in np.transpose(lengths):
        found, counts = np.unique(part, return_counts=True)
        assert found.tolist() == [2, 3, 4, 5, 6]
        assert (abs(counts - 120) < 5 * np.sqrt(120)).all()
    assert len(np.unique(lengths, axis=0)) == 25  # the parts are shortened independently
    episodes = draw(CountingSource(), CountingSource(offset=1), training=False, **values)
    assert len(episodes.task) == 12


def test_a_random_order_of_tasks_is_either_equally_often():
    made = sampler(CountingSource(offset=0), CountingSource(offset=1), n_way=2, task_order="random")
    rng = np.random.default_rng(0)
    firsts = []
    for _ in range(400):
        episodes = made.draw(rng, 1)
        assert (told(episodes)[0] == episodes.task[:, None]).all()
        firsts.append(episodes.task[0])
    assert abs(np.mean(firsts) - 0.5) < 0.125


def test_all_chances_are_even():
    batch = 20000
    episodes = draw(CountingSource(classes=8, pictures=4), batch=batch, n_way=4, k_shot=2)
    _, classes, numbers = told(episodes)

    def even(values, kinds):
        counts = np.bincount(np.asarray(values).reshape(-1), minlength=kinds)
        expected = np.size(values) / kinds
        return len(counts) == kinds and (abs(counts - expected) < 6 * np.sqrt(expected)).all()

    for t in range(9):
        assert even(classes[t], 8), "every class at every position"
        assert even(episodes.target[t], 4), "every label at every position"
        assert even(classes[t] * 4 + episodes.target[t], 32), "labels do not tell classes"
        assert even(numbers[t], 4), "every picture"
    for other in range(7):
        same = (episodes.target[7] == episodes.target[other]).mean()
        assert same == pytest.approx(1 / 7, abs=0.02), "support in fully random order"
        same = (episodes.target[8] == episodes.target[other]).mean()
        assert same == pytest.approx(1 / 4, abs=0.02), "the query's class is not told by the order"


def test_same_seed_same_episodes():
    once, again, other = (draw(seed=seed, n_way=3, batch=4) for seed in (5, 5, 6))
    for name in ("images", "label_in", "target"):
        assert (getattr(once, name) == getattr(again, name)).all()
    assert (once.images != other.images).any()
    # Written down, so that a change on another machine or in numpy is seen.
    assert once.target.tolist() == [[1, 0, 2, 1], [2, 2, 1, 0], [0, 1, 0, 2], [2, 0, 0, 1]]
    assert told(once)[1].tolist() == [[2, 19, 4, 3], [10, 0, 13, 17], [7, 2, 5, 19], [10, 19, 5, 3]]


def test_fixed_batches_are_the_same_each_time_and_differ_from_each_other():
    made = sampler(CountingSource())
    once, again = ([*fixed_batches(made, 3, batch=4, episodes=10)] for _ in range(2))
    assert [batch.target.shape[1] for batch in once] == [4, 4, 2]
    for batch, same in zip(once, again, strict=True):
        assert (batch.images == same.images).all() and (batch.target == same.target).all()
    assert (once[0].images != once[1].images).any()
    different = next(fixed_batches(made, 4, batch=4, episodes=10))
    assert (different.images != once[0].images).any()


def test_map_reaches_every_field():
    episodes = draw(n_way=3)
    part = episodes.map(lambda field: field[1:3])
    assert part.images.shape[0] == 2 and part.task.tolist() == [0, 0]
    assert (part.seen == episodes.seen[1:3]).all()


@pytest.mark.parametrize(
    ("sources", "values", "message"),
    [
        ([CountingSource(classes=4)], {}, "n_way 5 is more than the 4 classes of glyphs"),
        (
            [CountingSource(pictures=3)],
            {"k_shot": 2, "n_query": 2},
            "k_shot 2 and n_query 2 need 4 pictures of each class, and a class of glyphs has",
        ),
        ([CountingSource(pictures=3)], {"k_shot": 4, "labels": "delayed"}, "k_shot 4 need 4"),
    ],
)
def test_refuses_a_source_that_is_too_small(sources, values, message):
    with pytest.raises(DataError, match=message):
        sampler(*sources, **values)


def test_refuses_tasks_whose_pictures_differ_in_shape():
    wide = CountingSource()
    wide.shape = (1, 4, 1)
    with pytest.raises(DataError, match=r"one shape .* set size and channels of both"):
        sampler(CountingSource(), wide)


def test_needs_a_source_for_each_task():
    config = EpisodesConfig(tasks=["glyphs"])
    with pytest.raises(DataError, match="1 tasks need as many sources, not 2"):
        EpisodeSampler([CountingSource()] * 2, config, training=True)
