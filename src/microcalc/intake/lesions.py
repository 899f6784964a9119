"""Lesions in mammograms: the common form of every DICOM source, and the cutting of their ROIs in parallel.

A source says which file, where the lesion lies, and what is known of it; here each file is decoded once, all its ROIs
are cut and encoded. Nothing is written; that is the business of `microcalc.intake.harvest`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microcalc.cohort.images import ROI_SIDE, encode_png
from microcalc.errors import ImageError
from microcalc.intake.crop import Box, Roi, Scale, cut_lesion
from microcalc.intake.dicom import (
    VERDICT_MEANING,
    Facts,
    Mammogram,
    NoteCode,
    ReadOptions,
    Refusal,
    Verdict,
    read_mammogram,
)
from microcalc.intake.masks import lesion_box
from microcalc.intake.true_days import FIRST_TRUE_DAY, LAST_TRUE_DAY, can_be_shifted
from microcalc.intake.workers import in_processes

__all__ = ["CutRoi", "CutSettings", "Lesion", "NotCut", "cut_lesions"]

WORTH_PROCESSES = 24
"""Files below which one process is faster than starting others."""

_IMPOSSIBLE_DAY = (
    f"the day of the exam in the header must be of {FIRST_TRUE_DAY} to {LAST_TRUE_DAY}; it was taken as not told"
)

_IN_SQUARE: Mapping[NoteCode, str] = {
    NoteCode.BURNED_IN_SUSPECTED: "something in the square looks like text or a marker; look before sharing the cohort"
}
"""Notes on parts of a mammogram: of concern to a cohort only where the square, which alone is kept, shows them."""

_WITHOUT_NAMES: Mapping[NoteCode, str] = {
    NoteCode.SEVERAL_WINDOWS: "one of several windows or tables was applied; `microcalc cohort inspect` names them",
    NoteCode.WINDOW_IGNORED: "a window or table could not be used; `microcalc cohort inspect` says why",
}
"""Notes that quote the names of windows, which are free text: a cohort gets a sentence instead."""


@dataclass(frozen=True)
class Lesion:
    """One ROI that is to be cut.

    Attributes:
        source: row or file for verdicts; names no patient and no folder of the machine.
        path: file of the mammogram.
        row: columns of the contract that are known; ``patient_id`` as in the source.
        box: of the lesion; None where a mask tells it.
        masks: file that marks the lesion; of several the one that is a mask by its content.
    """

    source: str
    path: Path
    row: Mapping[str, str]
    box: Box | None = None
    masks: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CutSettings:
    """How ROIs are cut.

    Attributes:
        scale: size of their pixels.
        options: how mammograms are read.
    """

    scale: Scale = field(default_factory=Scale)
    options: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True)
class CutRoi:
    """A ROI, encoded.

    Attributes:
        lesion: that it shows.
        png: 16 bit grey, 512 x 512.
        columns: of the contract, as the image tells them.
        facts: of the mammogram's header.
        remarks: code and words of what a person must know.
        factor: pixels of the mammogram for each pixel of the ROI.
    """

    lesion: Lesion
    png: bytes
    columns: Mapping[str, object]
    facts: Facts
    remarks: tuple[tuple[str, str], ...] = ()
    factor: float = 1.0


@dataclass(frozen=True)
class NotCut:
    """Why there is no ROI of a lesion; the message names no file."""

    lesion: Lesion
    code: str
    message: str


class _Plane:
    """Greys of a mammogram, made only where they are asked for."""

    def __init__(self, mammogram: Mammogram) -> None:
        self._mammogram = mammogram
        self.shape: tuple[int, ...] = mammogram.stored.shape

    def __getitem__(self, part: tuple[slice, slice], /) -> NDArray[np.float32]:
        return self._mammogram.grey(*part)


def cut_lesions(lesions: Sequence[Lesion], settings: CutSettings, *, processes: int = 1) -> Iterator[CutRoi | NotCut]:
    """Cut the ROIs of lesions, each file decoded once.

    Args:
        lesions: of any files; those of one file come together.
        settings: how.
        processes: so many read; memory is that of two mammograms each.

    Yields:
        One answer for each lesion; lesions of one file stand where its first one stood.
    """
    films: dict[Path, list[Lesion]] = {}
    for lesion in lesions:
        films.setdefault(lesion.path, []).append(lesion)
    cut = partial(_cut_film, settings=settings)
    for answers in in_processes(cut, films.values(), processes=processes, died=_died, at_least=WORTH_PROCESSES):
        yield from answers


def _died(lesions: Sequence[Lesion]) -> list[CutRoi | NotCut]:
    """The answer for a file whose reader died."""
    code = Verdict.READER_DIED
    return [NotCut(lesion, code.value, VERDICT_MEANING[code]) for lesion in lesions]


def _cut_film(lesions: Sequence[Lesion], settings: CutSettings) -> list[CutRoi | NotCut]:
    """All ROIs of one file."""
    mammogram = read_mammogram(lesions[0].path, settings.options)
    if isinstance(mammogram, Refusal):
        # Its message may quote the header or the path, which name patients.
        return [NotCut(lesion, mammogram.code.value, VERDICT_MEANING[mammogram.code]) for lesion in lesions]
    return _with_neighbours([_cut(lesion, mammogram, settings) for lesion in lesions])


def _cut(lesion: Lesion, mammogram: Mammogram, settings: CutSettings) -> CutRoi | NotCut:
    facts = mammogram.facts
    whole = [note for note in mammogram.notes if not note.places]
    remarks = list(dict.fromkeys((note.code.value, _WITHOUT_NAMES.get(note.code, note.message)) for note in whole))
    if _days(facts) and not any(map(can_be_shifted, _days(facts))):
        remarks.append(("impossible-day", _IMPOSSIBLE_DAY))
    try:
        code, box = "bad-mask", lesion.box
        if box is None:
            marked = lesion_box(lesion.masks, mammogram.stored.shape, largest_pixels=settings.options.largest_pixels)
            box, remarks = marked.box, [*remarks, *marked.remarks]
        code = "no-spacing"
        factor = settings.scale.factor(facts.pixel_spacing_mm)
        code = "outside"
        roi, remark = cut_lesion(_Plane(mammogram), box, factor=factor)
    except ImageError as error:
        return NotCut(lesion, code, str(error))
    remarks += [("lesion-larger", remark)] if remark else []
    remarks += [
        (note.code.value, _IN_SQUARE[note.code])
        for note in mammogram.notes
        if note.code in _IN_SQUARE and any(_meets(roi, place) for place in note.places)
    ]
    return CutRoi(lesion, encode_png(roi.pixels), _columns(roi, facts), facts, tuple(remarks), roi.factor)


def _meets(roi: Roi, place: tuple[int, int, int, int]) -> bool:
    """Whether a part of the mammogram lies in the square, wholly or partly."""
    half = roi.pixels.shape[0] / 2 * roi.factor
    top, left, bottom, right = place
    rows = top < roi.row + half and bottom >= roi.row - half
    return bool(rows and left < roi.col + half and right >= roi.col - half)


def _columns(roi: Roi, facts: Facts) -> dict[str, object]:
    """Columns that the image itself tells; empty ones left away."""
    spacing = facts.pixel_spacing_mm * roi.factor
    found: dict[str, object] = {
        "laterality": str(facts.laterality),
        "view": str(facts.view),
        "manufacturer": facts.manufacturer,
        "exam_date": next((day for day in _days(facts) if can_be_shifted(day)), ""),
        "source_uid": facts.sop_uid,
        "roi_row": roi.row,
        "roi_col": roi.col,
        "padded": "true" if roi.padded else "false",
    }
    if math.isfinite(spacing):
        found["pixel_spacing_mm"] = round(spacing, 6)
    if math.isfinite(facts.magnification):
        found["magnification"] = round(facts.magnification, 4)
    return {name: value for name, value in found.items() if value != ""}


def _days(facts: Facts) -> list[str]:
    return [day for day in (facts.study_date, facts.acquisition_date) if day]


def _with_neighbours(answers: list[CutRoi | NotCut]) -> list[CutRoi | NotCut]:
    """Remark on squares that hold the middle of a lesion of the other class: the picture shows both."""
    rois = [answer for answer in answers if isinstance(answer, CutRoi)]
    out: list[CutRoi | NotCut] = []
    for answer in answers:
        if isinstance(answer, CutRoi) and any(_both_classes(answer, other) for other in rois):
            words = "the square also holds a lesion of the other class"
            out.append(replace(answer, remarks=(*answer.remarks, ("two-classes", words))))
        else:
            out.append(answer)
    return out


def _both_classes(roi: CutRoi, other: CutRoi) -> bool:
    if roi.lesion.row.get("label") == other.lesion.row.get("label"):
        return False
    away = [abs(float(str(roi.columns[c])) - float(str(other.columns[c]))) for c in ("roi_row", "roi_col")]
    return max(away) <= ROI_SIDE / 2 * roi.factor
