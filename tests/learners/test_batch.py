"""From rollouts to a batch on the learner's device."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from learners.batch import Stage, _concatenate_pinned
from learners.rollout import join
from tests.learners.rollouts import rollout

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def assert_holds(batch, wanted):
    for name in ("obs", "reward", "first", "action", "logits"):
        found = getattr(batch, name).cpu().numpy()
        np.testing.assert_array_equal(found, getattr(wanted, name), strict=True)
    for found, state in zip(batch.state, wanted.state, strict=True):
        np.testing.assert_array_equal(found.cpu().numpy(), state, strict=True)
    assert batch.version == wanted.version.mean()


def test_on_a_cpu_it_shares_the_memory_of_what_was_joined():
    parts = [rollout(2), rollout(3, seed=1).columns(1, 3)]
    batch = Stage(torch.device("cpu"))(parts)
    assert_holds(batch, join(parts))
    batch.wait()

    alone = rollout(2)
    alone.obs.setflags(write=False)  # as what Ray hands out
    batch = Stage(torch.device("cpu"))([alone])
    assert batch.obs.data_ptr() == alone.obs.ctypes.data


@pytest.mark.parametrize("parts", [[rollout(4)], [rollout(2), rollout(3, seed=1).columns(1, 3)]])
def test_pinned_memory_holds_what_was_joined(parts, monkeypatch):
    empty, asked = torch.empty, []

    def pinned(shape, dtype, pin_memory):
        asked.append(pin_memory)
        return empty(shape, dtype=dtype)  # without a GPU there is none

    monkeypatch.setattr(torch, "empty", pinned)
    found = join(parts, _concatenate_pinned)
    assert asked == [True] * 8  # a single rollout too: it comes from memory that is not pinned
    wanted = join(parts)
    for ours, theirs in zip((*found[:6], *found.state), (*wanted[:6], *wanted.state), strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


@on_gpu
def test_on_a_gpu_uploads_overlap_with_work_and_are_waited_for_cuda():
    """Batches are staged by another thread while the GPU is kept busy with those before."""
    device = torch.device("cuda")
    stage = Stage(device)
    parts = [[rollout(16, seed, side=64), rollout(16, seed + 1, side=64)] for seed in range(40)]
    busy = torch.randn(2048, 2048, device=device)
    with ThreadPoolExecutor(1) as other:
        staged = [other.submit(stage, each) for each in parts]
        sums = []
        for each in staged:
            batch = each.result()
            batch.wait()
            for _ in range(10):
                busy = (busy @ busy).tanh()
            sums.append(batch.obs.double().sum())  # after the work, in its stream
            del batch
        for found, wanted in zip(sums, parts, strict=True):
            assert found.item() == join(wanted).obs.astype(np.float64).sum()
    last = stage(parts[0])
    last.wait()
    assert_holds(last, join(parts[0]))
