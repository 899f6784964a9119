"""Many files: folders walked without going in circles, each file read in another process, none of them ending the run.

A codec is foreign code; a file that kills its process costs that process alone. What is said of one file is decided
in `microcalc.intake.dicom.reading`.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path

from microcalc.intake.dicom.facts import Facts, ReadOptions, Refusal, as_record
from microcalc.intake.dicom.library import pydicom_module
from microcalc.intake.dicom.reading import inspect_file
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["Record", "dicom_files", "inspect_files", "record_of"]

Record = dict[str, object]
"""A verdict as it stands in JSON."""

_Place = tuple[int, int]
"""Device and inode of a folder."""

AHEAD = 4
"""Files handed out for each process beyond the one that it reads."""

DEFAULT = ReadOptions()


def dicom_files(paths: Iterable[Path]) -> Iterator[Path | Refusal]:
    """Every file of some files and folders, in the order of names; links are followed, once.

    Args:
        paths: files, which come out as they are, and folders, which are walked.

    Yields:
        A file; or, in its place, why something in a folder cannot be one.
    """
    seen: set[_Place] = set()
    for path in paths:
        # Still to do, the next one last; each with the folders on the way to it.
        left: list[tuple[Path, tuple[_Place, ...]]] = [(path, ())]
        while left:
            here, above = left.pop()
            if not here.is_dir():
                yield here
                continue
            entries = _entries(here, above, seen)
            if isinstance(entries, Refusal):
                yield entries
            else:
                left += reversed(entries)


def _entries(
    folder: Path, above: tuple[_Place, ...], seen: set[_Place]
) -> list[tuple[Path, tuple[_Place, ...]]] | Refusal:  # fmt: skip
    """What is in a folder, or why it is left out; nothing if another link has led to it.

    Args:
        folder: to list.
        above: folders on the way here.
        seen: folders listed so far; this one is added.
    """
    try:
        status = folder.stat()
        place = (status.st_dev, status.st_ino)
        if place in above:
            message = f"the link {folder} leads back to a folder above it; left out"
            return Refusal(Verdict.SYMLINK_LOOP, message, Facts(path=str(folder)))
        if place in seen:
            return []
        seen.add(place)
        return [(inside, (*above, place)) for inside in sorted(folder.iterdir())]
    except OSError as error:
        message = f"the folder {folder} cannot be listed ({error.strerror}); check its permissions"
        return Refusal(Verdict.UNREADABLE, message, Facts(path=str(folder)))


def inspect_files(
    paths: Iterable[Path], options: ReadOptions = DEFAULT, *, processes: int = 0
) -> Iterator[Record]:  # fmt: skip
    """Verdicts of files and of everything in folders, in order.

    Args:
        paths: files and folders.
        options: what is accepted.
        processes: that read; 0: one for each core that may be used; 1: this one, unguarded against dying codecs.

    Yields:
        A record for each file.

    Raises:
        MissingDependencyError: pydicom is not installed.
    """
    pydicom_module("pydicom")
    found = dicom_files(paths)
    if processes == 1:
        yield from (record_of(item, options) for item in found)
        return
    count = processes or len(
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    yield from _in_processes(found, options, count)


def record_of(item: Path | Refusal, options: ReadOptions) -> Record:
    """Record of a file, or of what stands in its place."""
    return as_record(item) if isinstance(item, Refusal) else inspect_file(item, options)


def _in_processes(found: Iterator[Path | Refusal], options: ReadOptions, processes: int) -> Iterator[Record]:
    """Hand files out, take verdicts in order; when a process dies, find out which file it was, and go on."""
    while first := list(islice(found, 1)):
        found = chain(first, found)
        items: deque[Path | Refusal] = deque()
        futures: deque[Future[Record]] = deque()
        # Started anew rather than forked: a fork of a process with threads may hang.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            try:
                for item in found:
                    items.append(item)
                    futures.append(pool.submit(record_of, item, options))
                    if len(futures) > AHEAD * processes:
                        yield _next(items, futures)
                while futures:
                    yield _next(items, futures)
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
        yield from _one_by_one(items, options)


def _next(items: deque[Path | Refusal], futures: deque[Future[Record]]) -> Record:
    record = futures[0].result()
    items.popleft()
    futures.popleft()
    return record


def _one_by_one(items: Iterable[Path | Refusal], options: ReadOptions) -> Iterator[Record]:
    """Each file in a process of its own, so that one that kills its process is known."""
    for item in items:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            try:
                yield pool.submit(record_of, item, options).result()
            except BrokenProcessPool:
                words = (
                    "the process that read this file died, perhaps in a codec or for want of memory; it was left out"
                )
                yield as_record(Refusal(Verdict.READER_DIED, words, Facts(path=str(item))))
