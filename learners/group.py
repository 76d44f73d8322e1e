"""Learner groups: several processes that share every batch and learn what one alone would."""

from __future__ import annotations

from datetime import timedelta

import torch.distributed as dist

PATIENCE = timedelta(minutes=10)  # a learner waits for another's part; kernels may be compiling


def open_store(host: str) -> dist.TCPStore:
    """Open the place where learners meet, on a free port of this machine; the first does so.

    Args:
        host: the name or address under which the others reach this machine.
    """
    return dist.TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=PATIENCE)


def join_group(
    device: str, rank: int, size: int, host: str, port: int, store: dist.TCPStore | None
) -> dist.ProcessGroup:
    """Meet the other learners; return once all are there.

    Args:
        device: of every learner; NCCL connects them on "cuda", gloo on "cpu".
        rank: of this learner, 0..size-1.
        size: the number of learners.
        host: where the store is.
        port: of the store.
        store: the store itself, for the learner that opened it.
    """
    store = store or dist.TCPStore(host, port, is_master=False, timeout=PATIENCE)
    backend = "nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    group = dist.group.WORLD
    assert group is not None  # it has just been made
    return group
