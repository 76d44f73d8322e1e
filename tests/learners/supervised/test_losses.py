"""Losses and accuracies by hand."""

import math

import numpy as np
import pytest
import torch

from learners.supervised import make_batch
from learners.supervised.losses import cross_entropy, hits_by_shot, prototype_logits
from tests.learners.supervised.episodes import Arrays, N, episodes


def test_cross_entropy_of_each_position():
    logits = torch.randn(3, 2, N, generator=torch.Generator().manual_seed(0)).double()
    target = torch.tensor([[0, 1], [2, 3], [4, 0]])
    losses = cross_entropy(logits, target)
    for t in range(3):
        for b in range(2):
            odds = [math.exp(x) for x in logits[t, b].tolist()]
            expected = -math.log(odds[target[t, b]] / sum(odds))
            assert losses[t, b].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(3, 1, N), (3, N), (2, 3, N)])
def test_shapes_that_would_broadcast_are_refused(shape):
    with pytest.raises(ValueError, match=r"do not fit to target \[3, 2\]"):
        cross_entropy(torch.zeros(shape), torch.zeros(3, 2, dtype=torch.int64))


def two_tasks(seed=0, batch=2, delayed=False):
    """Return two tasks in one sequence, of 2 shots and 1 shot."""
    parts = [episodes(seed, batch, 2), episodes(seed + 1, batch, 1)]
    fields = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("images", "label_in", "target", "scored", "labelled", "seen")
    }
    if delayed:  # every label goes in, after its answer
        fields["labelled"] = fields["scored"] = np.full_like(fields["scored"], True)
    task = np.repeat([1, 0], [len(part.target) for part in parts])
    return make_batch(Arrays(**fields, task=task))


@pytest.mark.parametrize("delayed", [False, True])
def test_prototypes_are_the_means_of_the_earlier_labelled_images_of_the_task(delayed):
    batch = two_tasks(delayed=delayed)
    steps, size = batch.target.shape
    features = torch.randn(steps, size, 3, generator=torch.Generator().manual_seed(1)).double()
    found = prototype_logits(features, batch, N).log_softmax(-1)
    for t in range(steps):
        for b in range(size):
            odds = []
            for n in range(N):
                members = [
                    features[s, b]
                    for s in range(t)
                    if batch.labelled[s, b]
                    and batch.target[s, b] == n
                    and batch.task[s] == batch.task[t]
                ]
                if batch.scored[t, b] and not delayed:
                    assert len(members) == (2 if batch.task[t] == 1 else 1)
                if members:
                    prototype = sum(members) / len(members)
                    odds.append(math.exp(-((features[t, b] - prototype) ** 2).sum().item()))
                else:
                    odds.append(0.0)
            if any(odds):  # else nothing was seen of this task yet
                expected = [math.log(o / sum(odds)) if o else -math.inf for o in odds]
                assert found[t, b].tolist() == pytest.approx(expected, rel=1e-9)


def test_prototypes_have_right_gradients():
    batch = two_tasks(batch=1)
    features = torch.randn(len(batch.target), 1, 2, dtype=torch.float64, requires_grad=True)

    def loss(features):
        losses = cross_entropy(prototype_logits(features, batch, N), batch.target)
        return losses[batch.scored]

    assert torch.autograd.gradcheck(loss, features)


def test_a_class_without_a_labelled_image_is_impossible():
    batch = make_batch(episodes())
    only = batch._replace(labelled=batch.labelled & (batch.target != 3))
    logits = prototype_logits(torch.randn(*batch.target.shape, 4), only, N)
    assert torch.isneginf(logits[..., 3]).all()
    assert torch.isfinite(logits[batch.scored][:, :3]).all()


def test_hits_by_the_number_of_examples_seen():
    correct = torch.tensor([[True, True], [True, False], [False, True]])
    scored = torch.tensor([[True, False], [True, True], [True, True]])
    seen = torch.tensor([[0, 0], [1, 1], [1, 2]])
    hits, answers = hits_by_shot(correct, scored, seen).tolist()
    assert hits == [1, 1, 1, 0]
    assert answers == [1, 3, 1, 0]


@pytest.mark.parametrize("field", ["label_in", "images", "task", "seen"])
def test_fields_that_do_not_fit_are_refused(field):
    arrays = episodes()
    short = {field: getattr(arrays, field)[1:]}
    with pytest.raises(ValueError, match=rf"{field} is \[6.* does not fit to target \[7, 6\]"):
        make_batch(Arrays(**{**vars(arrays), **short}))


def test_a_batch_in_pieces():
    batch = make_batch(episodes())
    pieces = list(batch.pieces(3))
    assert [piece.images.shape for piece in pieces] == [(7, 2, 16, 16, 1)] * 3
    assert [piece.task.shape for piece in pieces] == [(7,)] * 3
    for name in ("images", "target", "seen"):
        joined = torch.cat([getattr(piece, name) for piece in pieces], 1)
        assert torch.equal(joined, getattr(batch, name))
    with pytest.raises(ValueError, match="6 sequences are not 4 equal pieces"):
        list(batch.pieces(4))
