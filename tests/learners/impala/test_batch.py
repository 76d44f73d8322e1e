"""From rollouts to a batch on the learner's device."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from learners.impala.batch import Stage, _concatenate_pinned
from learners.impala.rollout import join
from tests.learners.rollouts import rollout

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def assert_holds(batch, wanted):
    for name in ("obs", "reward", "first", "action", "logits", "final_value"):
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


def test_columns_of_a_batch_are_those_of_its_rollout():
    whole = rollout(4)
    batch = Stage(torch.device("cpu"))([whole])
    few = batch.columns(2, 4)
    assert_holds(few, whole.columns(2, 4))
    assert (batch.version, few.version) == (1.5, 2.5)  # of 0, 1, 2, 3
    assert few.obs.data_ptr() == batch.obs[:, 2:].data_ptr()
    assert [tensor.shape for tensor in few.tensors()] == [
        (4, 2, 4, 4, 3),
        *[(4, 2), (4, 2), (3, 2), (3, 2, 5), (3, 2)],
        *[(2, 2, 3), (2, 7)],
    ]


@pytest.mark.parametrize("parts", [[rollout(4)], [rollout(2), rollout(3, seed=1).columns(1, 3)]])
def test_pinned_memory_holds_what_was_joined(parts, monkeypatch):
    empty, asked = torch.empty, []

    def pinned(shape, dtype, pin_memory):
        asked.append(pin_memory)
        return empty(shape, dtype=dtype)  # without a GPU there is none

    monkeypatch.setattr(torch, "empty", pinned)
    found = join(parts, _concatenate_pinned)
    assert asked == [True] * 9  # a single rollout too: it comes from memory that is not pinned
    wanted = join(parts)
    for ours, theirs in zip(found.arrays(), wanted.arrays(), strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


# What is queued behind this much work is not done while the host goes on.
LONG = 1_000_000_000  # cycles of a GPU: half a second


def obs_sum(rollouts):
    return join(rollouts).obs.astype(np.float64).sum()


def read_whole(batches):
    """Do what the tests do later, so that no kernel is loaded and no memory asked for then."""
    for batch in batches:
        batch.wait()
        batch.obs.double().sum().item()
    del batch
    batches.clear()
    torch.cuda.synchronize()


@on_gpu
def test_on_a_gpu_work_waits_for_the_upload_and_the_host_does_not_cuda():
    """Without `wait_event` the sum is of what lay in the memory before."""
    stage = Stage(torch.device("cuda"))
    parts, others = ([rollout(16, seed, side=64) for seed in (n, n + 1)] for n in (0, 2))
    assert obs_sum(parts) != obs_sum(others)
    read_whole([stage(others)])  # the batch takes their memory, of the host too
    with torch.cuda.stream(stage._uploads):
        torch.cuda._sleep(LONG)
    batch = stage(parts)
    assert not batch.uploaded.query()
    batch.wait()
    found = batch.obs.double().sum()
    assert not batch.uploaded.query()
    assert found.item() == obs_sum(parts)
    assert_holds(batch, join(parts))


@on_gpu
def test_on_a_gpu_a_batch_in_use_is_not_written_over_by_the_next_cuda():
    """Without `record_stream` the next batch is put where this one is still to be read."""
    stage = Stage(torch.device("cuda"))
    parts, others = ([rollout(32, seed, side=64)] for seed in (0, 1))
    assert obs_sum(parts) != obs_sum(others)
    read_whole([stage(others), stage(others)])
    batch = stage(parts)
    batch.wait()
    batch.uploaded.synchronize()
    torch.cuda._sleep(LONG)
    found = batch.obs.double().sum()
    done = torch.cuda.Event()
    done.record()
    del batch
    following = stage(others)
    following.uploaded.synchronize()
    assert not done.query()  # the next one is there, and this one not read yet
    assert found.item() == obs_sum(parts)
    assert_holds(following, join(others))


@on_gpu
def test_on_a_gpu_batches_of_another_thread_arrive_whole_cuda():
    stage = Stage(torch.device("cuda"))
    parts = [[rollout(16, seed, side=64), rollout(16, seed + 1, side=64)] for seed in range(40)]
    busy = torch.randn(2048, 2048, device="cuda")
    sums = []
    with ThreadPoolExecutor(1) as other:
        staged = other.submit(stage, parts[0])
        for following in [*parts[1:], parts[0]]:
            batch, staged = staged.result(), other.submit(stage, following)
            batch.wait()
            for _ in range(10):
                busy = (busy @ busy).tanh()
            sums.append(batch.obs.double().sum())  # after the work, in its stream
            del batch
    for found, wanted in zip(sums, parts, strict=True):
        assert found.item() == obs_sum(wanted)
