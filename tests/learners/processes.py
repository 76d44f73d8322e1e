"""Two learners in processes of their own, connected by gloo."""

import multiprocessing

from learners import join_group, open_store

SIZE = 2


def member(work, args, rank, place, results):
    store = None
    if rank == 0:
        store = open_store("127.0.0.1")
        for _ in range(SIZE - 1):
            place.put(store.port)
    group = join_group("cpu", rank, SIZE, "127.0.0.1", store.port if store else place.get(), store)
    results.put((rank, work(*args, group, rank)))


def in_two_processes(work, *args):
    """Return what `work(*args, group, rank)` returns for rank 0 and for rank 1."""
    context = multiprocessing.get_context("spawn")
    place, results = context.Queue(), context.Queue()
    processes = [
        context.Process(target=member, args=(work, args, rank, place, results), daemon=True)
        for rank in range(SIZE)
    ]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=100) for _ in processes)
    for process in processes:
        process.join(timeout=20)
    return found[0], found[1]
