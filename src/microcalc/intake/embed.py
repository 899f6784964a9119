"""EMBED, the Emory breast imaging dataset (Jeong et al. 2023): ROIs of radiologists joined to findings with pathology.

A ROI stands in the row of a picture, its pathology in the row of a finding, and the two share no number. They are
joined by patient, exam and side; a ROI is used only where its breast has one finding, and that is a calcification with
a result. Where there are several, whose ROI it is would be a guess, and the ROI is left out by name.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from microcalc.cohort.table import Cohort, Verdict
from microcalc.errors import InputError
from microcalc.intake.embed_tables import (
    BORDERLINE,
    OTHER_CANCER,
    PATHOLOGY_OF_SEVERITY,
    EmbedFinding,
    EmbedPicture,
    read_embed_findings,
    read_embed_pictures,
)
from microcalc.intake.harvest import Harvest, HarvestSettings, LeftOut, Progress, harvest
from microcalc.intake.lesions import Lesion
from microcalc.intake.rules import PAPER_REASONS
from microcalc.intake.terms import read_view
from microcalc.vocabulary import Pathology

__all__ = ["CITATION", "EmbedPlan", "EmbedRoi", "embed_lines", "from_embed", "plan_embed"]

CITATION: Mapping[str, object] = {
    "kind": "embed",
    "title": "EMory BrEast imaging Dataset (EMBED), open data release",
    "authors": "Jeong JJ, Vey BL et al. (2023)",
    "article": "Radiology: Artificial Intelligence 5(1):e220047",
    "doi": "10.1148/ryai.220047",
    "license": "EMBED data licence, non-commercial research",
    "changes": "squares were cut around radiologists' ROIs",
}
"""Entry of ``sources`` in ``cohort.json``."""

REASONS: Mapping[str, str] = {
    "synthetic-view": "computed from tomosynthesis, or no 2D picture",
    "no-finding": "no finding for this breast",
    "several-findings": "several findings in this breast",
    "no-calcification": "no calcification",
    "mass": PAPER_REASONS["mass"],
    "implant": PAPER_REASONS["implant"],
    "no_histopathology": PAPER_REASONS["no_histopathology"],
    "other-cancer": "cancer that is none of the breast",
    "bad-box": "ROI is no box",
    "no-image": "mammogram not found",
}
"""Reasons for leaving a ROI out, in the order in which they count."""


@dataclass(frozen=True)
class EmbedRoi:
    """A ROI of a picture.

    Attributes:
        picture: in which it lies.
        number: within the picture, from 1.
        path: of the file; None where it was not found.
        finding: that it shows; None where that cannot be said.
        code: why it is left out, one of `REASONS`; "" where it is used.
    """

    picture: EmbedPicture
    number: int
    path: Path | None
    finding: EmbedFinding | None
    code: str

    @property
    def name(self) -> str:
        """Of the ROI, for verdicts."""
        return f"metadata row {self.picture.row}, ROI {self.number}"


@dataclass(frozen=True)
class EmbedPlan:
    """All ROIs and what becomes of them."""

    folder: Path
    rois: tuple[EmbedRoi, ...]

    @property
    def used(self) -> list[EmbedRoi]:
        """ROIs that become images."""
        return [roi for roi in self.rois if not roi.code]


def plan_embed(folder: Path, *, tables: Path | None = None, with_masses: bool = False) -> EmbedPlan:
    """Read the tables, join ROIs to findings, and find the files; nothing is written.

    Args:
        folder: with ``images/cohort_1/...`` or ``cohort_1/...``.
        tables: folder of the tables; default ``folder``, to its depth.
        with_masses: keep calcifications with a mass.

    Raises:
        InputError: a table is missing.
        TableError: a table cannot be read, or lacks a column.
    """
    where = tables or folder
    pictures = read_embed_pictures(_table(where, "metadata"))
    findings: dict[tuple[str, str], list[EmbedFinding]] = defaultdict(list)
    for finding in read_embed_findings(_table(where, "clinical")):
        findings[finding.patient, finding.exam].append(finding)
    rois = []
    for picture in pictures:
        exam = findings[picture.patient, picture.exam]
        side = picture.laterality
        own = [finding.seen_in(side) for finding in exam if finding.side in (side, "B", "")]
        path = _file(folder, picture.file)
        for number in range(1, len(picture.boxes) + 1):
            shown, code = _judged(picture, own, with_masses=with_masses)
            if not code:
                code = "bad-box" if picture.boxes[number - 1] is None else "no-image" if path is None else ""
            rois.append(EmbedRoi(picture, number, path, shown, code))
    return EmbedPlan(folder, tuple(rois))


def from_embed(plan: EmbedPlan, out: Path, settings: HarvestSettings, *, progress: Progress | None = None) -> Cohort:
    """Cut the ROIs of a plan and write the cohort.

    Args:
        plan: from `plan_embed`.
        out: cohort folder; new or empty.
        settings: how ROIs are cut.
        progress: called after each ROI.

    Raises:
        InputError: files are missing or cannot be used (all are named) without ``skip_bad``, or no ROI is left.
        CohortError: ``out`` is not empty.
    """
    gathered = Harvest(
        source=str(plan.folder),
        description=CITATION,
        lesions=[_lesion(roi) for roi in plan.used],
        left_out=[_left_out(roi) for roi in plan.rois if roi.code],
        remarks=[Verdict("EMBED", True, code, words) for code, words in _remarks(plan)],
        reasons=REASONS,
    )
    return harvest(gathered, out, settings, progress=progress)


def embed_lines(plan: EmbedPlan) -> Iterator[str]:
    """What was found, line by line."""
    yield f"pictures with ROIs: {len({roi.picture.row for roi in plan.rois})}; ROIs: {len(plan.rois)}"
    malignant = sum(_pathology(roi).label for roi in plan.used)
    patients = len({roi.picture.patient for roi in plan.used})
    yield (
        f"ROI images to cut: {len(plan.used)} of {patients} patients; "
        f"{len(plan.used) - malignant} benign, {malignant} malignant"
    )
    counts = Counter(roi.code for roi in plan.rois)
    yield from (f"  {counts[code]} left out: {reason}" for code, reason in REASONS.items() if counts[code])
    missing = [roi for roi in plan.rois if roi.code == "no-image"]
    yield from (f"    not found: {roi.picture.file}" for roi in missing[:20])
    for code, words in _remarks(plan):
        yield f"  {code}: {words}"


def _judged(
    picture: EmbedPicture, findings: Sequence[EmbedFinding], *, with_masses: bool
) -> tuple[EmbedFinding | None, str]:
    """The finding of a picture's ROIs and why they are left out; the first reason counts."""
    if picture.kind.casefold() != "2d":
        return None, "synthetic-view"
    if len(findings) != 1:
        return None, "several-findings" if findings else "no-finding"
    finding = findings[0]
    reasons = (
        (not finding.calcification, "no-calcification"),
        (finding.mass and not with_masses, "mass"),
        (finding.implant, "implant"),
        (finding.worst is None, "no_histopathology"),
        (OTHER_CANCER in finding.severities, "other-cancer"),
        (finding.worst not in PATHOLOGY_OF_SEVERITY, "no_histopathology"),
    )
    return finding, next((code for applies, code in reasons if applies), "")


def _pathology(roi: EmbedRoi) -> Pathology:
    if roi.finding is None or roi.finding.worst is None:
        raise ValueError("a ROI without a finding has no pathology")
    return PATHOLOGY_OF_SEVERITY[roi.finding.worst]


def _lesion(roi: EmbedRoi) -> Lesion:
    picture, finding = roi.picture, roi.finding
    if finding is None or roi.path is None:
        raise ValueError("a ROI without finding or file is no lesion")
    stem = f"{picture.patient}_{picture.exam}_{picture.laterality}{picture.view}"
    row = {
        "image_id": f"{stem}_{picture.row}_{roi.number}",
        "patient_id": picture.patient,
        "lesion_id": f"{picture.exam}_{picture.laterality}{finding.number}",
        "exam_date": "",  # shifted for each patient alone: their order among patients means nothing
        "laterality": picture.laterality,
        "view": read_view(picture.view) or "",
        "pathology": _pathology(roi).value,
        "birads": finding.birads,
        "morphology": finding.morphology,
        "distribution": finding.distribution,
    }
    return Lesion(roi.name, roi.path, row, picture.boxes[roi.number - 1])


def _left_out(roi: EmbedRoi) -> LeftOut:
    reason = REASONS[roi.code]
    fault = roi.code in ("bad-box", "no-image")
    return LeftOut(roi.name, roi.code, reason, reason, roi.picture.patient, by_rule=not fault)


def _remarks(plan: EmbedPlan) -> Iterator[tuple[str, str]]:
    several = len({roi.picture.row for roi in plan.used if roi.number > 1})
    if several:
        yield "several-rois", f"{several} pictures have several ROIs of one finding; each became an image"
    special = sum(roi.picture.special for roi in plan.used)
    if special:
        yield (
            "special-views",
            f"{special} ROIs are of spot or magnification views (spot_mag); factors as in the headers",
        )
    borderline = sum(roi.finding is not None and roi.finding.worst == BORDERLINE for roi in plan.used)
    if borderline:
        yield "borderline", f"{borderline} ROIs of borderline lesions were taken as high-risk (label 0)"


def _table(folder: Path, kind: str) -> Path:
    for name in (f"EMBED_OpenData_{kind}.csv", f"EMBED_OpenData_{kind}_reduced.csv"):
        found = next(iter(sorted(folder.rglob(name))), None)
        if found is not None:
            return found
    raise InputError(f"{folder}: must hold EMBED_OpenData_{kind}.csv or its reduced form; it holds neither (--tables)")


def _file(folder: Path, published: str) -> Path | None:
    """The file of a published path: its longest end that is there, below the folder or its ``images``."""
    parts = PurePosixPath(published).parts
    for start in range(len(parts)):
        end = Path(*parts[start:])
        for base in (folder, folder / "images"):
            if not end.is_absolute() and (base / end).is_file():
                return base / end
    return None
