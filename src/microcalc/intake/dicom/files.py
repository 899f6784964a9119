"""Many files: folders walked without going in circles, each file read in another process, none of them ending the run.

A codec is foreign code; a file that kills its process costs that process alone. What is said of one file is decided
in `microcalc.intake.dicom.reading`.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from microcalc.intake.dicom.facts import Facts, ReadOptions, Refusal, as_record
from microcalc.intake.dicom.library import pydicom_module
from microcalc.intake.dicom.reading import inspect_file
from microcalc.intake.dicom.verdicts import Verdict
from microcalc.intake.workers import in_processes, process_count

__all__ = ["Record", "dicom_files", "inspect_files", "record_of"]

Record = dict[str, object]
"""A verdict as it stands in JSON."""

_Place = tuple[int, int]
"""Device and inode of a folder."""

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
    yield from in_processes(
        partial(record_of, options=options),
        dicom_files(paths),
        processes=process_count(processes),
        died=_died,
        at_least=1,
    )


def record_of(item: Path | Refusal, options: ReadOptions) -> Record:
    """Record of a file, or of what stands in its place."""
    return as_record(item) if isinstance(item, Refusal) else inspect_file(item, options)


def _died(item: Path | Refusal) -> Record:
    words = "the process that read this file died, perhaps in a codec or for want of memory; it was left out"
    return as_record(Refusal(Verdict.READER_DIED, words, Facts(path=str(item))))
