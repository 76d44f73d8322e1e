"""Batches are cut from a queue as if it were a plain list of unrolls."""

import itertools

import numpy as np
import pytest

from launch.flow.batcher import Batcher, Piece


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8, 32])
@pytest.mark.parametrize("num_envs", [1, 2, 3, 4, 7, 48])
@pytest.mark.parametrize("mixed", [False, True], ids=["equal", "mixed"])
def test_batches_are_the_oldest_unrolls_in_order(batch_size, num_envs, mixed):
    rng = np.random.default_rng([batch_size, num_envs, mixed])
    batcher: Batcher[int] = Batcher(batch_size)
    waiting = []  # (rollout, environment), one for each unroll
    for rollout in range(60):
        envs = int(rng.integers(1, num_envs + 1)) if mixed else num_envs
        batcher.add(rollout, envs)
        waiting += [(rollout, env) for env in range(envs)]
        # At times the queue is emptied, at times it grows.
        while batcher.ready and rng.random() < 0.7:
            taken, waiting = waiting[:batch_size], waiting[batch_size:]
            pieces = batcher.take(batch_size)
            assert unrolls(pieces) == taken
            assert_whole(pieces)
        assert unrolls(batcher.pieces()) == waiting
        assert batcher.waiting == len(waiting)
        assert batcher.depth == len(waiting) / batch_size
        assert batcher.ready == (len(waiting) >= batch_size)


def test_a_large_rollout_makes_several_batches_and_the_rest_waits():
    batcher: Batcher[str] = Batcher(3)
    batcher.add("a", 7)
    batcher.add("b", 2)
    assert batcher.take(3) == [Piece("a", 0, 3)]
    assert batcher.take(3) == [Piece("a", 3, 6)]
    assert batcher.take(3) == [Piece("a", 6, 7), Piece("b", 0, 2)]
    assert batcher.pieces() == []
    assert not batcher.ready


def test_a_batch_may_be_taken_in_shares():
    batcher: Batcher[str] = Batcher(6)
    batcher.add("a", 4)
    batcher.add("b", 4)
    assert batcher.take(3) == [Piece("a", 0, 3)]
    assert batcher.take(3) == [Piece("a", 3, 4), Piece("b", 0, 2)]
    assert batcher.pieces() == [Piece("b", 2, 4)]


def unrolls(pieces):
    return [(piece.rollout, env) for piece in pieces for env in range(piece.start, piece.stop)]


def assert_whole(pieces):
    """No piece is empty, and none is cut where it need not be."""
    assert all(piece.start < piece.stop for piece in pieces)
    for before, after in itertools.pairwise(pieces):
        assert before.rollout != after.rollout
