"""What the objects of one report share: image, findings, who read when with what, and the identity of it all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydicom import Dataset
from pydicom.uid import UID

from microcalc import RESEARCH_USE, __version__
from microcalc.errors import ImageError
from microcalc.reader.objects.finding import Finding, Observer, StudyFacts, fingerprint
from microcalc.reader.objects.source_header import source_header
from microcalc.reader.objects.uids import child_uid

__all__ = ["MANUFACTURER", "MODEL", "Report", "one_line", "person_name"]

MANUFACTURER: Final = "microcalc"
MODEL: Final = "microcalc reading room"

_NAME_LENGTH = 64


@dataclass(frozen=True)
class Report:
    """Everything that the objects of one report share.

    Attributes:
        source: clean header of the image, see `microcalc.reader.objects.source_header`.
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
        header = source_header(source)
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


def person_name(text: str) -> str:
    """A name that DICOM takes as a person name: no control characters, groups or backslashes, 64 characters.

    Components may be parted by carets already (``Curie^Marie``), at most five.
    """
    plain = "".join(" " if letter in "\\=" or not letter.isprintable() else letter for letter in text)
    components = [" ".join(part.split()) for part in plain.split("^", 4)]
    return "^".join(component.replace("^", " ") for component in components)[:_NAME_LENGTH].strip("^ ") or "unknown"


def one_line(text: str, length: int = _NAME_LENGTH) -> str:
    """Text for an element of one value: printable, no backslash, so many letters at most."""
    plain = "".join(letter if letter.isprintable() and letter != "\\" else " " for letter in text)
    return " ".join(plain.split())[:length]
