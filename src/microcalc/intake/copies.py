"""Files that share a SOP Instance UID: whether they are one mammogram, which the UID alone does not prove.

They are where they show the same picture and no header contradicts the other; what a header does not tell contradicts
nothing.

Exports hold some files twice, whole or broken off, and some programs change a picture without giving it a new UID.
Pixels are read of such files alone.
"""

import filecmp
import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from microcalc.intake.dicom import VERDICT_MEANING, Facts, ReadOptions, Refusal, Verdict, read_mammogram
from microcalc.intake.workers import in_processes

__all__ = ["Picture", "differences", "read_pictures", "told"]

Picture = str | Refusal
"""Equal texts for files with the same picture, or why there is none."""

WORTH_PROCESSES = 8
"""Groups below which one process is faster than starting others."""

_TOLD = {
    "patient_id": "patient", "accession_number": "accession number", "study_date": "day", "acquisition_date": "day",
    "laterality": "side", "view": "view", "view_modifiers": "view", "pixel_spacing_mm": "size of a pixel",
    "implant": "implant",
}  # fmt: skip
"""Facts that decide which row a file is joined to and how it is cut, and what they are called in messages."""


def told(facts: Facts) -> dict[str, str]:
    """What a header says of which mammogram it is; nothing stands here of which it says nothing."""
    values = {name: getattr(facts, name) for name in _TOLD}
    silent = (isinstance(value, float) and math.isnan(value) for value in values.values())
    return {name: str(value) for (name, value), nan in zip(values.items(), silent, strict=True) if value and not nan}


def differences(several: Sequence[Facts]) -> list[str]:
    """What files differ in, in a few words."""
    headers = [told(facts) for facts in several]
    apart = (words for name, words in _TOLD.items() if len({header.get(name) for header in headers}) > 1)
    return list(dict.fromkeys(apart))


def read_pictures(
    groups: Sequence[Sequence[Path]], *, options: ReadOptions, processes: int = 1
) -> Iterator[list[Picture]]:
    """Read groups of files to compare the greys that they show.

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
    greys = mammogram.pixels
    return hashlib.blake2b(repr(greys.shape).encode() + greys.tobytes()).hexdigest()


def _died(paths: Sequence[Path]) -> list[Picture]:
    code = Verdict.READER_DIED
    return [Refusal(code, VERDICT_MEANING[code], Facts(path=str(path))) for path in paths]
