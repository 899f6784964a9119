"""What is known of a DICOM file, and the two answers of reading one: a mammogram, or a refusal.

The result types live here and nothing that reads. Unknown words are empty, unknown numbers NaN in memory and null in
JSON.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.dicom.greys import GreyScale
from microcalc.intake.dicom.verdicts import NoteCode, Verdict
from microcalc.vocabulary import View, ViewModifier

__all__ = ["Facts", "Grey", "GreyPlane", "Mammogram", "Note", "ReadOptions", "Refusal", "as_record"]

Grey = NDArray[np.float32]
"""(rows, cols) grey levels in [0, 1]."""

LARGEST_PIXELS = 100_000_000
"""Default limit of rows times columns; the largest detectors have about 20 million, scanned film up to 40 million."""


@dataclass(frozen=True)
class ReadOptions:
    """How files are read.

    Attributes:
        accept_for_processing: read raw detector values too, with a note.
        accept_derived: read the cut-outs and masks of CBIS-DDSM too.
        largest_pixels: rows times columns beyond which a file is refused before its pixels are touched.
        window: which of several windows or VOI tables is applied, from 0; the first where there are fewer.
        check_pixels: look for a bright background and for burned-in text.
    """

    accept_for_processing: bool = False
    accept_derived: bool = False
    largest_pixels: int = LARGEST_PIXELS
    window: int = 0
    check_pixels: bool = True


@dataclass(frozen=True)
class Note:
    """Something a reader must know of a file.

    Attributes:
        code: short name.
        message: in words.
        places: first row and column, last row and column of each part of the image that it is about; none: the whole.
    """

    code: NoteCode
    message: str
    places: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True)
class Facts:
    """What the header says. Empty or NaN where it is silent.

    Attributes:
        path: as it was given; empty for bytes and datasets.
        laterality: ``L``, ``R`` or empty.
        view: a `microcalc.vocabulary.View`, or empty.
        view_modifiers: `microcalc.vocabulary.ViewModifier`, in the order of the header.
        rows, columns: pixels; 0 where unknown.
        pixel_spacing_mm: mm per pixel in the plane of the breast.
        spacing_source: which elements it was taken from.
        magnification: distance source to detector over distance source to breast; 1.0 for a contact view.
        spot_magnification: a magnification view, by its modifier or its factor.
        photometric: MONOCHROME1 or MONOCHROME2 as the header has it.
        voi: which window or table makes the greys.
        presentation_intent: FOR PRESENTATION, FOR PROCESSING or empty.
        transfer_syntax: UID.
        lossy: compressed with loss at any time.
        detector: ``digital``, ``film`` or ``unknown``.
        study_date, acquisition_date: ISO 8601, or empty.
        burned_in: Burned In Annotation (0028,0301): ``YES``, ``NO`` or empty.
        implant: Breast Implant Present (0028,1300) says YES, or a view is implant displaced.
        padding: first and last stored value of the padding, or nothing.
    """

    path: str = ""
    laterality: str = ""
    view: View | str = ""
    view_modifiers: tuple[ViewModifier, ...] = ()
    rows: int = 0
    columns: int = 0
    pixel_spacing_mm: float = math.nan
    spacing_source: str = ""
    magnification: float = math.nan
    spot_magnification: bool = False
    photometric: str = ""
    voi: str = ""
    presentation_intent: str = ""
    transfer_syntax: str = ""
    lossy: bool = False
    manufacturer: str = ""
    model: str = ""
    device_serial: str = ""
    institution: str = ""
    detector: str = "unknown"
    patient_id: str = ""
    patient_name: str = ""
    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    sop_class_uid: str = ""
    accession_number: str = ""
    study_date: str = ""
    acquisition_date: str = ""
    series_description: str = ""
    burned_in: str = ""
    implant: bool = False
    padding: tuple[int, int] | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a file was not read.

    Attributes:
        code: the reason.
        message: the reason in words: what must hold, what came, the way out.
        facts: as far as the header could be read.
        notes: besides the reason.
    """

    code: Verdict
    message: str
    facts: Facts = field(default_factory=Facts)
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, eq=False, init=False)
class Mammogram:
    """A mammogram as it was stored, and as a radiologist sees it.

    The greys are made when they are asked for: whole by ``pixels``, or of a part by `grey`, which is cheaper where
    only a region is needed.

    Attributes:
        stored: (rows, cols) stored values, unsigned or signed, 8 or 16 bits.
        facts: of the header.
        notes: what a reader must know.
        greys: from stored values to greys; nothing where ``pixels`` were given.
    """

    stored: NDArray[np.integer]
    facts: Facts
    notes: tuple[Note, ...]
    greys: GreyScale | None

    def __init__(
        self,
        *,
        stored: NDArray[np.integer],
        facts: Facts,
        notes: tuple[Note, ...] = (),
        greys: GreyScale | None = None,
        pixels: Grey | None = None,
    ) -> None:
        if pixels is None and greys is None:
            raise TypeError("a mammogram needs its pixels, or the grey scale that makes them of the stored values")
        values = {"stored": stored, "facts": facts, "notes": notes, "greys": greys}
        if pixels is not None:
            values["pixels"] = pixels
        self.__dict__.update(values)

    @cached_property
    def pixels(self) -> Grey:
        """(rows, cols) greys in [0, 1], breast bright on black."""
        return self.grey(slice(None), slice(None))

    @property
    def plane(self) -> "GreyPlane":
        """The greys for `microcalc.intake.crop`: of a part, made when that part is asked for."""
        return GreyPlane(self)

    def grey(self, rows: slice, cols: slice) -> Grey:
        """Greys of a part, equal to that part of ``pixels``.

        Args:
            rows, cols: of the image.
        """
        if "pixels" in self.__dict__ or self.greys is None:
            return self.pixels[rows, cols]
        return self.greys.apply(self.stored[rows, cols])


@dataclass(frozen=True)
class GreyPlane:
    """Looks like the array ``pixels``, but makes only the greys that are asked for."""

    mammogram: Mammogram

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.mammogram.stored.shape

    def __getitem__(self, part: tuple[slice, slice]) -> Grey:
        """Greys of a part."""
        return self.mammogram.grey(*part)


def as_record(answer: Mammogram | Refusal | Facts) -> dict[str, object]:
    """Verdict as it stands in the JSON of ``microcalc cohort inspect``; unknown values are None, never NaN."""
    facts = answer if isinstance(answer, Facts) else answer.facts
    refused = isinstance(answer, Refusal)
    notes = () if isinstance(answer, Facts) else answer.notes
    known = {name: getattr(facts, name) for name in _FACTS_IN_RECORD}
    return {
        "path": facts.path,
        "accepted": not refused,
        "code": (answer.code if isinstance(answer, Refusal) else Verdict.ACCEPTED).value,
        "message": answer.message if isinstance(answer, Refusal) else "",
        **{name: _plain(value) for name, value in known.items()},
        "view_modifiers": [m.value for m in facts.view_modifiers],
        "notes": [_note_record(n) for n in notes],
    }


_FACTS_IN_RECORD = (
    "laterality", "view", "view_modifiers", "rows", "columns", "pixel_spacing_mm", "spacing_source", "magnification",
    "photometric", "voi", "manufacturer", "patient_id", "study_uid", "series_uid", "sop_uid",
)  # fmt: skip


def _note_record(note: Note) -> dict[str, object]:
    places: dict[str, object] = {"places": [list(place) for place in note.places]} if note.places else {}
    return {"code": note.code.value, "message": note.message, **places}


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, str) and value else (value or None)
