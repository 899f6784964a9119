"""What a report to the PACS is made of: findings with their scores and labels, who observed, and with which study.

Plain values only, and their check at the door. The DICOM objects are made of them in `microcalc.reader.dicom_report`
and its neighbours.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from microcalc.cohort.images import ROI_SIDE
from microcalc.errors import InputError

__all__ = ["BIRADS", "ENSEMBLE", "Finding", "Labels", "Observer", "ReadingNote", "Scores", "StudyFacts", "fingerprint"]

BIRADS = ("0", "1", "2", "3", "4", "4A", "4B", "4C", "5", "6")
"""BI-RADS categories that a label may have."""

ENSEMBLE = "ensemble"
"""Name of the mean over the networks, among the heatmaps too."""


class ReadingNote(Protocol):
    """A warning of a reading."""

    @property
    def message(self) -> str:
        """In words."""


class Scores(Protocol):
    """What is taken of a `microcalc.reader.reading.Reading`."""

    @property
    def networks(self) -> Mapping[str, float]:
        """Probability of each network, 0 to 1."""

    @property
    def ensemble(self) -> float:
        """Mean of the networks, 0 to 1."""

    @property
    def calibrated(self) -> float | None:
        """Calibrated probability, 0 to 1, where the study has a calibration."""

    @property
    def called(self) -> bool:
        """Ensemble above the cut-off."""

    @property
    def cutoff(self) -> float:
        """The study's frozen cut-off."""

    @property
    def heatmaps(self) -> Mapping[str, NDArray[np.float32]]:
        """(512, 512) heatmap of each network and of the ensemble, 0 to 1."""

    @property
    def warnings(self) -> Sequence[ReadingNote]:
        """What a reader must know."""


@dataclass(frozen=True)
class Labels:
    """What a person said of a lesion; empty where nothing was said.

    Attributes:
        pathology: a `microcalc.vocabulary.Pathology`.
        birads: one of `BIRADS`.
        morphology: a `microcalc.vocabulary.CalcMorphology`.
        distribution: a `microcalc.vocabulary.CalcDistribution`.
        note: free text.
    """

    pathology: str = ""
    birads: str = ""
    morphology: str = ""
    distribution: str = ""
    note: str = ""


NOTHING_SAID = Labels()


@dataclass(frozen=True)
class Finding:
    """One square of a mammogram, what the networks say of it, and what a person said.

    Attributes:
        row, col: of the square's middle, mammogram pixels from 0.
        side: of the square, mammogram pixels.
        reading: scores and heatmaps.
        reading_id: names the reading in the store; never used twice there.
        lesion: name of the lesion, the same in every view of it.
        labels: what a person said.
    """

    row: float
    col: float
    side: float
    reading: Scores
    reading_id: str
    lesion: str = ""
    labels: Labels = NOTHING_SAID

    def __post_init__(self) -> None:
        """Refuse what cannot be put into a report."""
        if not all(map(math.isfinite, (self.row, self.col, self.side))) or self.side < 1:
            raise InputError(
                f"a finding must have a finite row and column and a side of at least one pixel; it has row {self.row}, "
                f"column {self.col}, side {self.side}"
            )
        if not self.reading_id:
            raise InputError("a finding must name its reading (reading_id), so that it is never sent twice")

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Top, left, bottom, right edge of the square, counted from the upper left corner of the first pixel.

        As `microcalc.intake.crop.cut_roi` cuts it: the point is rounded to its pixel, and the middle of that pixel is
        the middle of the ROI's pixel [256, 256].
        """
        scale = self.side / ROI_SIDE
        row, col = (math.floor(value + 0.5) + 0.5 for value in (self.row, self.col))
        top, left = (centre - (ROI_SIDE // 2 + 0.5) * scale for centre in (row, col))
        return top, left, top + self.side, left + self.side

    def visible_box(self, rows: int, columns: int) -> tuple[float, float, float, float]:
        """The part of the square that lies on the image.

        Raises:
            InputError: no part of it does.
        """
        top, left, bottom, right = self.box
        top, left, bottom, right = max(top, 0.0), max(left, 0.0), min(bottom, float(rows)), min(right, float(columns))
        if top >= bottom or left >= right:
            raise InputError(
                f"a finding must lie on its image of {rows} rows x {columns} columns; its middle is at row "
                f"{self.row:g}, column {self.col:g}. Rows are counted from the top, columns from the left, from 0"
            )
        return top, left, bottom, right


@dataclass(frozen=True)
class Observer:
    """The person who placed the squares and asked for the readings.

    Attributes:
        name: as it shall stand in the report.
        login: account, if any.
        organization: where they work, if it shall stand there.
    """

    name: str
    login: str = ""
    organization: str = ""


@dataclass(frozen=True)
class StudyFacts:
    """The study whose networks read.

    Attributes:
        name: of its protocol.
        identity: hash or other text that tells it apart from others of the same name.
        version: of microcalc.
        chosen_on: the set on which the cut-off was chosen.
    """

    name: str
    version: str
    identity: str = ""
    chosen_on: str = field(default="")


def fingerprint(
    source_uid: str, findings: Sequence[Finding], observer: Observer, study: StudyFacts, at: datetime
) -> str:
    """SHA-256 over all that goes into a report: the same readings give the same objects, others give others.

    Args:
        source_uid: SOPInstanceUID of the image.
        findings: on it.
        observer: who read.
        study: with which networks.
        at: when.
    """
    digest = hashlib.sha256()
    for part in (source_uid, repr(observer), repr(study), at.isoformat()):
        _add(digest, part.encode())
    for finding in findings:
        reading = finding.reading
        facts = (
            finding.reading_id, finding.row, finding.col, finding.side, finding.lesion, finding.labels,
            sorted(reading.networks.items()), reading.ensemble, reading.calibrated, reading.called, reading.cutoff,
            [note.message for note in reading.warnings],
        )  # fmt: skip
        _add(digest, repr(facts).encode())
        for name, heatmap in sorted(reading.heatmaps.items()):
            _add(digest, name.encode())
            _add(digest, np.ascontiguousarray(heatmap, dtype="<f4").tobytes())
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", part: bytes) -> None:
    """Length before content, so that no two lists of parts run together."""
    digest.update(len(part).to_bytes(8, "little") + part)
