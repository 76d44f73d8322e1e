from __future__ import annotations

import numpy as np
import pytest

from envs import Episode, EpisodeTracker


def step(tracker, reward, first):
    return tracker.step(np.array(reward, np.float32), np.array(first))


def test_returns_and_lengths_by_hand():
    tracker = EpisodeTracker(["a", "b"])
    assert step(tracker, [1, 10], [False, False]) == []
    assert step(tracker, [2, -30], [False, True]) == [Episode(1, "b", -20.0, 2)]
    assert step(tracker, [4, 5], [True, True]) == [Episode(0, "a", 7.0, 3), Episode(1, "b", 5.0, 1)]
    assert step(tracker, [0, 0], [False, False]) == []
    assert step(tracker, [8, 0], [True, False]) == [Episode(0, "a", 8.0, 2)]


def test_an_episode_is_plain_python():
    (episode,) = step(EpisodeTracker(["a"]), [0.5], [True])
    assert [type(value) for value in episode] == [int, str, float, int]


def test_long_episodes_lose_nothing():
    tracker = EpisodeTracker(["a"])
    step(tracker, [2.0**24], [False])
    for _ in range(9):
        step(tracker, [1], [False])
    assert step(tracker, [1], [True])[0].ret == 2**24 + 10  # float32 stops counting at 2**24


def test_state_is_a_copy_from_which_it_goes_on():
    tracker, other = EpisodeTracker(["a", "b"]), EpisodeTracker(["a", "b"])
    step(tracker, [1, 2], [False, False])
    saved = tracker.state()
    step(tracker, [100, 100], [False, False])
    other.load(saved)
    step(other, [1, 1], [False, False])
    assert saved["returns"].tolist() == [1, 2]
    assert step(other, [3, 3], [True, True]) == [Episode(0, "a", 5.0, 3), Episode(1, "b", 6.0, 3)]


def test_a_state_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"returns has shape \(1,\), expected \(2,\)"):
        EpisodeTracker(["a", "b"]).load(EpisodeTracker(["a"]).state())
