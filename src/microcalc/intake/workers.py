"""Work in several processes, in order, with a few items in flight: memory does not grow with their number.

What is worked on is the business of the caller; here processes are started, watched and ended.
"""

import ctypes
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from typing import TypeVar

from microcalc.errors import MicrocalcError

__all__ = ["MOST_PROCESSES", "in_processes", "keep_memory", "process_count"]

MOST_PROCESSES = 8
"""Started at most by default: each holds one decoded mammogram, about 0.3 GB with its greys."""

AHEAD = 2
"""Items in flight for each process."""

_KEPT = ((-1, 256 << 20), (-3, 32 << 20))
"""M_TRIM_THRESHOLD: free memory that is kept; M_MMAP_THRESHOLD: blocks given back at once, above 32 MiB at most."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def process_count(processes: int) -> int:
    """The number asked for; for 0 one for each core that this process may use, at most ``MOST_PROCESSES``."""
    if processes:
        return processes
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_PROCESSES)


def in_processes(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    processes: int,
    died: Callable[[Item], Result],
    at_least: int = 2,
) -> Iterator[Result]:
    """Map a function in new processes, in order. A codec is foreign code: an item that kills its process costs no more.

    Args:
        function: of a module, so that it can be sent; with one argument.
        items: what can be sent.
        processes: so many are started; 1: this one works, unguarded.
        died: the answer for an item whose process died.
        at_least: with fewer items this process works alone, since starting others costs more.

    Raises:
        MicrocalcError: processes cannot be started at all.
    """
    queue = iter(items)
    first = list(islice(queue, at_least))
    if processes <= 1 or len(first) < at_least:
        keep_memory()
        yield from map(function, chain(first, queue))
        return
    left: Iterator[Item] = chain(first, queue)
    waiting: deque[Item] = deque()
    while True:
        yield from _until_one_dies(function, left, waiting, processes)
        if not waiting:
            return
        _refuse_if_none_can_start()
        # One of those that were under way killed its process: ask them one by one.
        yield from (_alone(function, item, died) for item in waiting)
        waiting.clear()


def keep_memory() -> bool:
    """Let this process keep what it frees, for its next image of the same size; whether its C library can.

    Else each film's 50 MB are given back to the system and come anew, page by page, which took as much of the
    processor as decoding them. It concerns glibc alone. Source: mallopt(3), M_TRIM_THRESHOLD, M_MMAP_THRESHOLD.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(*setting) for setting in _KEPT)


def _until_one_dies(
    function: Callable[[Item], Result], items: Iterator[Item], waiting: deque[Item], processes: int
) -> Iterator[Result]:
    """Answers in order; what has no answer yet when a process dies stays in ``waiting``."""
    # Started anew rather than forked: a fork of a process with threads may hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=keep_memory) as pool:
        futures: deque[Future[Result]] = deque()
        try:
            while True:
                for item in islice(items, AHEAD * processes - len(waiting)):
                    waiting.append(item)
                    futures.append(pool.submit(function, item))
                if not futures:
                    return
                answer = futures[0].result()
                futures.popleft()
                waiting.popleft()
                yield answer
        except BrokenProcessPool:
            return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _refuse_if_none_can_start() -> None:
    """Tell a process that an item killed from one that never came to work."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            pool.submit(int).result()
        except BrokenProcessPool as error:
            raise MicrocalcError(
                "processes that read images must be able to start; they die at once. Use one (--processes 1). In a "
                'script of your own, call microcalc below `if __name__ == "__main__":`'
            ) from error


def _alone(function: Callable[[Item], Result], item: Item, died: Callable[[Item], Result]) -> Result:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return died(item)
