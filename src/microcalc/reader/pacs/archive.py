"""What a PACS is for the reading room: something that can be asked, fetched from and sent to.

The values that go in and out and the protocol stand here, and how answers are checked; DICOMweb and DIMSE are spoken
in `microcalc.reader.pacs.dicomweb` and `microcalc.reader.pacs.dimse`. Whatever a PACS answers, only `PacsError` comes
out.
"""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pydicom import Dataset
from pydicom.multival import MultiValue

from microcalc.errors import PacsError, ProtocolError
from microcalc.intake.dicom.library import CONTENT_ERRORS
from microcalc.reader.objects.uids import is_uid

__all__ = [
    "DUPLICATE",
    "MAMMOGRAPHY_CLASSES",
    "FoundStudies",
    "FoundStudy",
    "PacsClient",
    "PacsQuery",
    "Stored",
    "checked_uid",
    "found_study",
    "may_be_mammogram",
    "said",
    "text_of",
]

MAMMOGRAPHY_CLASSES: Final = {
    "1.2.840.10008.5.1.4.1.1.1.2": "Digital Mammography X-Ray Image - For Presentation",
    "1.2.840.10008.5.1.4.1.1.1.2.1": "Digital Mammography X-Ray Image - For Processing",
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography Image",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray Image - For Presentation",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image",
}
"""Storage classes that a mammogram may come in; the last holds the films of CBIS-DDSM."""

DUPLICATE: Final = 0x0111
"""Failure reason of an archive that has this SOP Instance UID already (PS3.7 annex C)."""

_OTHERS = ("SR", "PR", "SEG", "KO", "DOC", "OT", "REG")
"""Modalities that are no mammograms, whatever their class."""

_DATE = re.compile(r"\d{8}(-(\d{8})?)?|-\d{8}")
_SAID_LENGTH = 200


@dataclass(frozen=True)
class PacsQuery:
    """Which studies are looked for; empty fields match everything, ``*`` and ``?`` stand for letters.

    Attributes:
        patient_id, patient_name, accession: as the PACS has them.
        date: of the study, ``20190304``, ``20190101-20191231``, ``20190101-`` or ``-20191231``.
        study_uid: exactly this one.
        modality: that the study must have.
        limit: so many at most.
    """

    patient_id: str = ""
    patient_name: str = ""
    accession: str = ""
    date: str = ""
    study_uid: str = ""
    modality: str = "MG"
    limit: int = 200

    def __post_init__(self) -> None:
        """Refuse what would ask for something else than was meant."""
        if self.date and not _DATE.fullmatch(self.date):
            raise ProtocolError(
                "the date of a query must be YYYYMMDD, or a range YYYYMMDD-YYYYMMDD with one side or both; "
                f"got {self.date!r}"
            )
        if self.study_uid and not is_uid(self.study_uid):
            raise ProtocolError(f"a study UID must be numbers parted by dots, 64 at most; got {self.study_uid!r}")
        for value in (self.patient_id, self.patient_name, self.accession, self.modality):
            if "\\" in value or any(not letter.isprintable() for letter in value):
                raise ProtocolError("a query must be one line of text without backslashes")
        if self.limit < 1:
            raise ProtocolError(f"a query must ask for at least one study; the limit is {self.limit}")

    @property
    def is_open(self) -> bool:
        """Nothing is asked for that tells one patient from another."""
        return not any((self.patient_id, self.patient_name, self.accession, self.date, self.study_uid))

    def matches(self, study: "FoundStudy") -> bool:
        """Whether a study is what was asked for: a PACS may ignore what it does not understand."""
        return (
            _like(study.patient_id, self.patient_id)
            and _like(study.patient_name, self.patient_name)
            and _like(study.accession, self.accession)
            and (not self.study_uid or study.study_uid == self.study_uid)
            and (not self.modality or not study.modalities or self.modality in study.modalities)
            and (not study.date or _in_range(study.date, self.date))
        )


@dataclass(frozen=True)
class FoundStudy:
    """A study that a PACS has.

    Attributes:
        study_uid: its UID.
        patient_id, patient_name, accession, description: as the PACS has them.
        date: ``YYYYMMDD``, or empty.
        modalities: in it, where the PACS says so.
        images: instances in it; 0 where the PACS does not say.
    """

    study_uid: str
    patient_id: str = ""
    patient_name: str = ""
    date: str = ""
    accession: str = ""
    description: str = ""
    modalities: tuple[str, ...] = ()
    images: int = 0


@dataclass(frozen=True)
class FoundStudies:
    """What a PACS answered to a query.

    Attributes:
        studies: that match, so many at most as the query allows.
        more: there may be more of them.
    """

    studies: tuple[FoundStudy, ...]
    more: bool


@dataclass(frozen=True)
class Stored:
    """What became of one object that was sent.

    Attributes:
        sop_uid: of the object.
        accepted: the PACS has it now.
        reason: why not, in its words; empty if accepted.
    """

    sop_uid: str
    accepted: bool
    reason: str = ""


class PacsClient(Protocol):
    """A PACS. Every method raises `PacsError`, and nothing else, for whatever the PACS does."""

    def echo(self) -> str:
        """Whether it answers; says in words who did."""

    def query(self, query: PacsQuery) -> FoundStudies:
        """Studies that match."""

    def fetch(self, study_uid: str, into: Path) -> list[Path]:
        """Bring the images of a study, as DICOM files named after their SOP Instance UIDs, into a folder."""

    def store(self, objects: Sequence[Dataset]) -> list[Stored]:
        """Send objects; one answer for each, in their order."""

    def holds(self, made: Dataset) -> bool:
        """Whether the PACS has this very object already."""


def checked_uid(value: object) -> str:
    """A UID that a PACS answered.

    Raises:
        PacsError: it is none; it would become part of a file's name.
    """
    text = str(value)
    if not is_uid(text):
        raise PacsError(f"a PACS must answer with UIDs of digits and dots; it answered {said(text)!r}")
    return text


def found_study(identifier: Dataset) -> FoundStudy:
    """A study from the answer to a query.

    Raises:
        PacsError: the answer has no study UID.
    """
    try:
        return FoundStudy(
            study_uid=checked_uid(identifier.get("StudyInstanceUID", "")),
            patient_id=text_of(identifier.get("PatientID")),
            patient_name=text_of(identifier.get("PatientName")),
            date=text_of(identifier.get("StudyDate")),
            accession=text_of(identifier.get("AccessionNumber")),
            description=text_of(identifier.get("StudyDescription")),
            modalities=_words(identifier.get("ModalitiesInStudy")),
            images=int(identifier.get("NumberOfStudyRelatedInstances") or 0),
        )
    except PacsError:
        raise
    except CONTENT_ERRORS as error:
        raise PacsError(f"a PACS must answer a query with studies; reading one ended with {error!r:.200}") from error


def may_be_mammogram(sop_class: str, modality: str) -> bool:
    """Whether an object or a series may be a mammogram, as far as its class and modality tell; empty tells nothing.

    Our own heatmaps are secondary captures as the films of CBIS-DDSM are, but of the modality OT.
    """
    return (not sop_class or sop_class in MAMMOGRAPHY_CLASSES) and modality not in _OTHERS


def text_of(value: object) -> str:
    """Text of an element's value on one line; several values are joined, nothing is empty."""
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def said(text: object) -> str:
    """Words of a PACS, short and printable, for a message."""
    return " ".join(text_of(text).split())[:_SAID_LENGTH]


def _words(value: object) -> tuple[str, ...]:
    several: Iterable[object] = value if isinstance(value, MultiValue | list | tuple) else [value]
    return tuple(text for text in map(text_of, several) if text)


def _like(value: str, pattern: str) -> bool:
    """Whether a value fits a pattern; letters and their case as archives compare names, brackets are only brackets."""
    if not pattern:
        return True
    escaped = pattern.replace("[", "[[]").casefold()
    return fnmatch.fnmatchcase(value.casefold().rstrip("^"), escaped.rstrip("^"))


def _in_range(date: str, wanted: str) -> bool:
    first, *rest = wanted.split("-")
    last = rest[0] if rest else first
    return (not first or date >= first) and (not last or date <= last)
