"""Files that share a SOP Instance UID: whether they show the same picture, which the UID alone does not prove.

Exports hold some files twice, whole or broken off, and some programs change a picture without giving it a new UID.
Pixels are read of such files alone.
"""

import filecmp
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from microcalc.intake.dicom import VERDICT_MEANING, Facts, ReadOptions, Refusal, Verdict, read_mammogram
from microcalc.intake.workers import in_processes

__all__ = ["Picture", "read_pictures"]

Picture = str | Refusal
"""Equal texts for files with the same picture, or why there is none."""

WORTH_PROCESSES = 8
"""Groups below which one process is faster than starting others."""

_TOLD = (
    "patient_id", "accession_number", "study_date", "acquisition_date", "laterality", "view", "view_modifiers",
    "pixel_spacing_mm", "implant",
)  # fmt: skip
"""Facts that decide which row a file is joined to, and how it is cut."""


def read_pictures(
    groups: Sequence[Sequence[Path]], *, options: ReadOptions, processes: int = 1
) -> Iterator[list[Picture]]:
    """Read groups of files to compare what they show: the greys, and what the header says of side, view and patient.

    Args:
        groups: files that share a SOP Instance UID.
        options: how they will be read for the cohort.
        processes: so many read.

    Yields:
        One answer for each file of a group. Files that are equal byte for byte are not read.
    """
    read = partial(_read_group, options=replace(options, check_pixels=False))
    yield from in_processes(read, groups, processes=processes, died=_died, at_least=WORTH_PROCESSES)


def _read_group(paths: Sequence[Path], *, options: ReadOptions) -> list[Picture]:
    with suppress(OSError):  # what cannot be read is refused below
        if all(filecmp.cmp(paths[0], path, shallow=False) for path in paths[1:]):
            return [""] * len(paths)
    return [_picture(path, options) for path in paths]


def _picture(path: Path, options: ReadOptions) -> Picture:
    mammogram = read_mammogram(path, options)
    if isinstance(mammogram, Refusal):
        return mammogram
    told = [str(getattr(mammogram.facts, name)) for name in _TOLD]
    greys = mammogram.pixels
    head = repr((told, greys.shape)).encode()
    return hashlib.blake2b(head + greys.tobytes()).hexdigest()


def _died(paths: Sequence[Path]) -> list[Picture]:
    code = Verdict.READER_DIED
    return [Refusal(code, VERDICT_MEANING[code], Facts(path=str(path))) for path in paths]
