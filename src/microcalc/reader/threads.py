"""Threads for small work: torch runs there on the thread itself and calls no helpers.

Filtering and reducing one square takes two milliseconds. Shared out over all cores, as torch does by itself, each step
waits until every helper had its turn: 60 ms of waiting in circles where other work keeps the cores busy.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import torch

__all__ = ["small_work_pool"]


def small_work_pool(threads: int, *, name: str) -> ThreadPoolExecutor:
    """A pool in whose threads torch uses no others; everywhere else its number of threads stays as it is.

    Args:
        threads: of the pool; all are started now.
        name: of the threads.
    """
    before = torch.get_num_threads()
    started = threading.Barrier(threads + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread takes over the common number when it first asks, and never again
        torch.set_num_threads(1)  # for this thread, and as the common number, which is put right below
        started.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=begin)
    for _ in range(threads):
        pool.submit(int)
    started.wait()
    torch.set_num_threads(before)
    return pool
