"""Work in several processes, in order, with a few items in flight: memory does not grow with their number.

What is worked on is the business of the caller; here processes are started, watched and ended.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from microcalc.errors import MicrocalcError

__all__ = ["MOST_PROCESSES", "in_processes", "process_count"]

MOST_PROCESSES = 8
"""Started at most by default: each holds one decoded mammogram, about 0.3 GB with its greys."""

AHEAD = 2
"""Items in flight for each process."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def process_count(processes: int) -> int:
    """The number asked for; for 0 one for each core that this process may use, at most ``MOST_PROCESSES``."""
    if processes:
        return processes
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_PROCESSES)


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], *, processes: int, at_least: int = 2
) -> Iterator[Result]:
    """Map a function in new processes, in order.

    Args:
        function: of a module, so that it can be sent; with one argument.
        items: what can be sent.
        processes: so many are started; 1: this one works.
        at_least: with fewer items this process works alone, since starting others costs more.

    Raises:
        MicrocalcError: a process died.
    """
    queue = iter(items)
    first = list(islice(queue, max(at_least - 1, 0)))
    more = list(islice(queue, 1))
    if processes <= 1 or not more:
        yield from map(function, first)
        yield from map(function, more)
        yield from map(function, queue)
        return
    # Started anew rather than forked: a fork of a process with threads may hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in _chained(first, more, queue):
                waiting.append(pool.submit(function, item))
                if len(waiting) >= AHEAD * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise MicrocalcError(
                "a process that read images ended unexpectedly, perhaps for want of memory; nothing was written. "
                "Start again with --processes 1"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _chained(*parts: Iterable[Item]) -> Iterator[Item]:
    for part in parts:
        yield from part
