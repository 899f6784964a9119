"""The image that a report speaks of, as a small clean header, and the identity of the objects that are made for it.

Files of the wild lack elements, have text in any character set and private elements; the objects that we write take
from them only what is listed here, in UTF-8. Nothing is decoded here.
"""

import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydicom import Dataset
from pydicom.uid import UID

from microcalc import RESEARCH_USE, __version__
from microcalc.errors import ImageError
from microcalc.intake.dicom.library import CONTENT_ERRORS, quiet
from microcalc.reader.finding import Finding, Observer, StudyFacts, fingerprint

__all__ = ["MANUFACTURER", "MODEL", "UTF_8", "Report", "child_uid", "evidence_header", "person_name"]

MANUFACTURER: Final = "microcalc"
MODEL: Final = "microcalc reading room"
UTF_8: Final = "ISO_IR 192"

_NAMESPACE = uuid.UUID("6f2b3c58-2f0e-5d0a-9a55-5a7c1f5d6f10")
"""Of the UIDs that are made from a fingerprint; must never change, or a report would be sent twice."""

_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Rows", "Columns")

_EMPTY_WHERE_UNKNOWN = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""Type 2 elements of the patient and the study: they must be there, with or without a value."""

_TAKEN = (
    *_NEEDED, *_EMPTY_WHERE_UNKNOWN,
    "PatientAge", "StudyDescription", "IssuerOfPatientID", "Modality", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames", "FrameOfReferenceUID",
    "PositionReferenceIndicator", "PixelSpacing", "ImagerPixelSpacing", "Laterality", "ImageLaterality",
    "PatientOrientation", "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter",
    "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified",
)  # fmt: skip

_VOI = ("VOILUTSequence", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_SEXES = ("", "M", "F", "O")
_NAME_LENGTH = 64


@dataclass(frozen=True)
class Report:
    """Everything that the objects of one report share.

    Attributes:
        source: clean header of the image, see `evidence_header`.
        findings: at least one.
        observer: who read.
        study: with which networks.
        at: when, in the time of this place.
        key: fingerprint of all of it.
    """

    source: Dataset
    findings: tuple[Finding, ...]
    observer: Observer
    study: StudyFacts
    at: datetime
    key: str

    @classmethod
    def of(
        cls, source: Dataset, findings: Sequence[Finding], *, observer: Observer, study: StudyFacts, at: datetime
    ) -> "Report":
        """Gather a report.

        Raises:
            ImageError: the image lacks what identifies it, or a finding does not lie on it.
        """
        header = evidence_header(source)
        if not findings:
            raise ImageError("a report must have at least one finding; place a square and read it first")
        for finding in findings:
            finding.visible_box(int(header.Rows), int(header.Columns))
        local = at.astimezone().replace(tzinfo=None) if at.tzinfo else at
        local = local.replace(microsecond=0)
        key = fingerprint(str(header.SOPInstanceUID), findings, observer, study, local)
        return cls(header, tuple(findings), observer, study, local, key)

    def uid(self, role: str) -> UID:
        """UID of a part of this report, the same whenever the report is made again."""
        return child_uid(self.key, role)

    @property
    def side(self) -> str:
        """``L``, ``R`` or empty, as the image says."""
        side = self.source.get("ImageLaterality") or self.source.get("Laterality") or ""
        return side if side in ("L", "R") else ""

    def finish(self, made: Dataset) -> Dataset:
        """Set what highdicom takes from the clock, so that the same report is the same bytes."""
        date, time = self.at.strftime("%Y%m%d"), self.at.strftime("%H%M%S")
        made.InstanceCreationDate, made.InstanceCreationTime = date, time
        made.SeriesDate, made.SeriesTime = date, time
        for kind in ("Content", "PresentationCreation"):
            if f"{kind}Date" in made:
                setattr(made, f"{kind}Date", date)
                setattr(made, f"{kind}Time", time)
        for equipment in made.get("ContributingEquipmentSequence", ()):
            equipment.ContributionDateTime = date + time
        for item in (*made.get("DimensionOrganizationSequence", ()), *made.get("DimensionIndexSequence", ())):
            item.DimensionOrganizationUID = self.uid("dimensions")
        if made.Modality in ("PR", "OT"):
            made.Laterality = self.side  # type 2C of a paired organ; a segmentation has it in its segments instead
        if made.Modality == "SEG":
            made.PatientOrientation = self.source.PatientOrientation
        made.DeviceSerialNumber = str(child_uid("device", __version__))
        made.SeriesDescription = f"microcalc: {RESEARCH_USE.split('.')[0].lower()}"
        return made


def child_uid(key: str, role: str) -> UID:
    """UID under 2.25 made of a key and a role (DICOM PS3.5 B.2: any UUID makes one)."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, f'{role}:{key}').int}")


def evidence_header(source: Dataset) -> Dataset:
    """The elements of an image that the objects about it take over, in UTF-8, without private ones.

    Args:
        source: header of the image, with or without pixels.

    Raises:
        ImageError: it lacks what identifies it.
    """
    header = Dataset()
    with quiet():
        for keyword in _TAKEN:
            try:
                value = source.get(keyword)
            except CONTENT_ERRORS:
                continue
            if value not in (None, ""):
                setattr(header, keyword, str(value) if keyword.endswith("Name") else value)
        missing = [keyword for keyword in _NEEDED if not header.get(keyword)]
        if missing:
            raise ImageError(
                f"an image must have {', '.join(_NEEDED)} before a report can refer to it; it lacks "
                f"{', '.join(missing)}. Take the image from the PACS, not from an export"
            )
        _complete(header)
    return header


def _complete(header: Dataset) -> None:
    for keyword in _EMPTY_WHERE_UNKNOWN:
        if keyword not in header:
            setattr(header, keyword, "")
    if header.PatientSex not in _SEXES:
        header.PatientSex = ""
    header.SpecificCharacterSet = UTF_8
    header.SamplesPerPixel = 1
    header.Modality = header.get("Modality") or "MG"
    if len(header.get("PatientOrientation") or ()) != 2 or isinstance(header.PatientOrientation, str):
        header.PatientOrientation = None  # CBIS-DDSM has the view here
    _one_window(header)


def _one_window(header: Dataset) -> None:
    """Keep the table or window that `microcalc.intake.dicom` applies, the first; drop what cannot be used."""
    tables = header.get("VOILUTSequence") or ()
    centers, widths = (_numbers(header.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    names = header.get("WindowCenterWidthExplanation") or ""
    usable = [(c, w) for c, w in zip(centers, widths, strict=False) if math.isfinite(c) and w >= 1]
    function = header.get("VOILUTFunction")
    for keyword in _VOI:
        if keyword in header:
            delattr(header, keyword)
    if tables:
        header.VOILUTSequence = [tables[0]]
    elif usable:
        header.WindowCenter, header.WindowWidth = usable[0]
        if usable[0] == (centers[0], widths[0]) and names:
            header.WindowCenterWidthExplanation = names if isinstance(names, str) else str(names[0])
        if function in _FUNCTIONS:
            header.VOILUTFunction = function


def _numbers(value: object) -> list[float]:
    """Values of an element with one or several numbers."""
    several = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    return [float(str(v)) for v in several if v not in (None, "")]


def person_name(text: str) -> str:
    """A name that DICOM takes as a person name: no control characters, groups or backslashes, 64 characters.

    Components may be parted by carets already (``Curie^Marie``), at most five.
    """
    plain = "".join(" " if letter in "\\=" or not letter.isprintable() else letter for letter in text)
    components = [" ".join(part.split()) for part in plain.split("^", 4)]
    return "^".join(component.replace("^", " ") for component in components)[:_NAME_LENGTH].strip("^ ") or "unknown"
