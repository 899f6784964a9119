"""The readers' squares as a cohort: what was marked in the reading room, to train or validate with.

Squares with a pathology are taken, one reader's at a time; the images are decoded and cut as for any other source, and
patients, UIDs and dates get pseudonyms under a key (`microcalc.intake.harvest`). Squares without a pathology are left
out and counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import and_, select

from microcalc.cohort.images import ROI_SIDE
from microcalc.cohort.table import Cohort
from microcalc.errors import InputError
from microcalc.intake.crop import Box, Scale
from microcalc.intake.dicom import Facts
from microcalc.intake.harvest import Harvest, HarvestSettings, LeftOut, Progress, harvest
from microcalc.intake.lesions import Lesion
from microcalc.reader.room.people import plain_name
from microcalc.reader.store import audit
from microcalc.reader.store.database import Store
from microcalc.reader.store.decoding import facts_of
from microcalc.reader.store.models import Account, Annotation, AnnotationVersion, Exam, Image
from microcalc.reader.store.vault import Vault
from microcalc.vocabulary import Pathology

__all__ = ["Archive", "MarkedSquare", "export_cohort", "marked_squares"]

SAME_SIDE = 0.01
"""Share by which a square's side may differ from what the scale of the cohort asks for."""

REASONS = {
    "no-pathology": "no histopathology",
    "no-patient": "no patient ID",
    "other-side": "square of another size",
}


@dataclass(frozen=True)
class MarkedSquare:
    """A square of the reading room.

    Attributes:
        reader: name of who placed it.
        version: its last revision.
        exam_id, sha256: of the exam and of the image's bytes.
        patient_id: as in the image.
        facts: of the image.
    """

    reader: str
    version: AnnotationVersion
    exam_id: str
    sha256: str
    patient_id: str
    facts: Facts

    @property
    def name(self) -> str:
        """For verdicts; names no patient."""
        return f"square {self.version.annotation_id[:12]}"


def marked_squares(store: Store, *, reader: str = "") -> list[MarkedSquare]:
    """All squares of one reader.

    Args:
        store: of the reading room.
        reader: whose; may be empty where only one has marked anything.

    Raises:
        InputError: nobody, or nobody of that name, has marked anything, or several have and none is named.
    """
    query = (
        select(AnnotationVersion, Account.name, Image, Exam)
        .join(
            Annotation,
            and_(Annotation.id == AnnotationVersion.annotation_id, Annotation.revision == AnnotationVersion.revision),
        )
        .join(Account, Account.id == Annotation.account_id)
        .join(Image, Image.id == Annotation.image_id)
        .join(Exam, Exam.id == Image.exam_id)
        .where(Annotation.deleted.is_(False))
        .order_by(Exam.date, Exam.id, Image.id, AnnotationVersion.lesion, Annotation.id)
    )
    with store.reading() as session:
        squares = [
            MarkedSquare(name, version, exam.id, image.sha256, _patient_id(image, exam), facts_of(image.facts))
            for version, name, image, exam in session.execute(query)
        ]
    counts = Counter(square.reader for square in squares)
    wanted = plain_name(reader) or (next(iter(counts)) if len(counts) == 1 else "")
    if wanted not in counts:
        names = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items())) or "nobody"
        raise InputError(
            "a cohort must be of the squares of one reader, or each lesion would be there several times; "
            f"who has marked: {names}. Name one (--reader NAME)"
        )
    return [square for square in squares if square.reader == wanted]


def _patient_id(image: Image, exam: Exam) -> str:
    """The image's own; the exam's where an older version noted none."""
    return str(image.facts.get("patient_id", exam.patient_id))


@dataclass(frozen=True)
class Archive:
    """Where squares come from, and who asks for them.

    Attributes:
        store, vault: of the reading room.
        by: who exports, for the log.
    """

    store: Store
    vault: Vault
    by: str


def export_cohort(
    archive: Archive,
    squares: Sequence[MarkedSquare],
    out: Path,
    settings: HarvestSettings,
    *,
    progress: Progress | None = None,
) -> Cohort:
    """Write squares as a cohort, and say so in the log.

    Args:
        archive: of the reading room.
        squares: of `marked_squares`.
        out: cohort folder, new or empty.
        settings: how ROIs are cut and named; with a key outside ``out``.
        progress: called after each ROI.

    Raises:
        InputError: faults without ``skip_bad``, or no ROI is left.
        CohortError: ``out`` is not empty.
        MicrocalcError: the disk is full, or ``out`` cannot be written.
    """
    lesions: list[Lesion] = []
    left_out: list[LeftOut] = []
    for square in squares:
        lost = _left_out(square, settings.cut.scale)
        if lost is None:
            lesions.append(_lesion(square, archive.vault))
        else:
            left_out.append(lost)
    source = Harvest(
        source="the reading room",
        description={"kind": "annotations", "title": "squares of the microcalc reading room", "squares": len(squares)},
        lesions=lesions,
        left_out=left_out,
        reasons=REASONS,
    )
    cohort = harvest(source, out, settings, progress=progress)
    audit.record(archive.store, archive.by, "export", ("cohort", ""), images=len(cohort.table))
    return cohort


def _left_out(square: MarkedSquare, scale: Scale) -> LeftOut | None:
    version = square.version
    if not version.pathology:
        words = "the square has no pathology"
        return LeftOut(square.name, "no-pathology", REASONS["no-pathology"], words, square.patient_id, by_rule=True)
    if not square.patient_id.strip():
        return LeftOut(
            square.name, "no-patient", REASONS["no-patient"], "its image must have a Patient ID; it has none"
        )
    spacing = square.facts.pixel_spacing_mm
    known = scale.spacing_mm is None or spacing == spacing  # noqa: PLR0124 -- not NaN; else cutting says what is missing
    side = ROI_SIDE * scale.factor(spacing) if known else version.side
    if abs(version.side / side - 1) > SAME_SIDE:
        words = (
            f"its side must be {side:.0f} pixels, as the scale asks for; it is {version.side:.0f}. Give the scale that "
            "it was placed at (--scale)"
        )
        return LeftOut(square.name, "other-side", REASONS["other-side"], words, square.patient_id)
    return None


def _lesion(square: MarkedSquare, vault: Vault) -> Lesion:
    version = square.version
    row = {
        "patient_id": square.patient_id,
        "lesion_id": f"{square.exam_id}:{version.lesion or version.annotation_id}",
        "pathology": version.pathology,
        "label": str(Pathology(version.pathology).label),
        "birads": version.birads,
        "morphology": version.morphology,
        "distribution": version.distribution,
    }
    filled = {name: value for name, value in row.items() if value}
    return Lesion(square.name, vault.object_path(square.sha256), filled, Box.around(version.row, version.col))
