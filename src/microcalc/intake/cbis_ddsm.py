"""CBIS-DDSM as it really lies on disk: description tables and pictures joined by header, official sets kept.

File names of the download say nothing (the tables name ``000000.dcm``, the files are called ``1-1.dcm``), so a picture
is found by Patient ID, Study and Series Instance UID of its header. The square is cut around the mask, which is known
by its content. What the tables get wrong is counted and said; what cannot be found is listed.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from microcalc.cohort.table import Cohort, Verdict
from microcalc.errors import InputError
from microcalc.intake.cbis_tables import (
    WITHOUT_CALLBACK,
    CbisCase,
    CbisTable,
    SeriesRef,
    find_cbis_tables,
    shared_patients,
)
from microcalc.intake.descriptors import read_distribution, read_morphology
from microcalc.intake.dicom import ReadOptions
from microcalc.intake.harvest import Harvest, HarvestSettings, LeftOut, Progress, harvest
from microcalc.intake.image_files import ImageFile, read_image_files
from microcalc.intake.lesions import Lesion
from microcalc.intake.rules import PAPER_REASONS
from microcalc.vocabulary import Split

__all__ = [
    "CITATION",
    "CbisPlan",
    "JoinedCase",
    "cbis_lines",
    "cbis_table",
    "from_cbis_ddsm",
    "join_cbis",
    "plan_cbis_ddsm",
]

CITATION: Mapping[str, object] = {
    "kind": "cbis-ddsm",
    "title": "Curated Breast Imaging Subset of Digital Database for Screening Mammography (CBIS-DDSM)",
    "authors": "Sawyer-Lee R, Gimenez F, Hoogi A, Rubin D (2016), The Cancer Imaging Archive",
    "doi": "10.7937/K9/TCIA.2016.7O02S9CY",
    "article": "Lee RS et al. (2017), Scientific Data 4:170177, doi 10.1038/sdata.2017.177",
    "license": "CC BY 3.0",
    "changes": "squares were cut around the masks of the lesions",
}
"""Entry of ``sources`` in ``cohort.json``; the licence asks for it wherever the pictures go."""

REASONS: Mapping[str, str] = {
    "no_histopathology": PAPER_REASONS["no_histopathology"],
    "no-image": "mammogram not found",
    "no-mask": "mask not found",
    "bad-mask": "mask cannot be used",
}


@dataclass(frozen=True)
class JoinedCase:
    """A row of a table and its pictures.

    Attributes:
        case: of the table.
        split: train or test, as published.
        image: whole mammogram; None where it was not found.
        masks: files one of which is the mask.
        remark: what was done to find them; "" where they lay where the table says.
    """

    case: CbisCase
    split: Split
    image: ImageFile | None
    masks: tuple[ImageFile, ...]
    remark: str = ""

    @property
    def name(self) -> str:
        """Of the lesion in its picture, as the download names the mask's patient."""
        case = self.case
        if case.mask is not None:
            return case.mask.patient
        return f"{case.patient}_{case.side}_{case.view}_{case.number}"


@dataclass(frozen=True)
class CbisPlan:
    """All that was found.

    Attributes:
        folder: that was searched.
        tables: all of both releases.
        joined: rows of the tables that are used.
        files: read, and how many of them some row names.
        biopsied_only: whether lesions without callback are left out.
    """

    folder: Path
    tables: tuple[CbisTable, ...]
    joined: tuple[JoinedCase, ...]
    files: tuple[int, int] = (0, 0)
    biopsied_only: bool = False

    @property
    def used(self) -> list[CbisTable]:
        """Tables whose rows were joined."""
        return [table for table in self.tables if table.kind == "calcification" and not table.early]


def plan_cbis_ddsm(
    folder: Path,
    *,
    tables: Path | None = None,
    biopsied_only: bool = False,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> CbisPlan:
    """Read tables and headers, and join the calcification cases; nothing is written.

    Args:
        folder: with the download of TCIA, in whatever folders it lies.
        tables: folder of the description tables; default ``folder``.
        biopsied_only: leave lesions without callback out: they have no histopathology.
        processes: so many read headers.
        progress: called with the files done and all of them.

    Raises:
        InputError: no such folder, no files in it, or no table that names series.
        TableError: a table cannot be read.
    """
    found = tuple(find_cbis_tables(tables or folder))
    used = _usable_tables(found, tables or folder)
    images = read_image_files(folder, options=ReadOptions(accept_derived=True), processes=processes, progress=progress)
    joined = tuple(join_cbis(used, images))
    named = {image.name for case in joined for image in (case.image, *case.masks) if image is not None}
    return CbisPlan(folder, found, joined, (len(images), len(named)), biopsied_only)


def join_cbis(tables: Iterable[CbisTable], images: Iterable[ImageFile]) -> Iterator[JoinedCase]:
    """Find the pictures of every row, by header.

    Args:
        tables: that name series.
        images: files of the download, cut-outs and masks included.
    """
    by_series: dict[SeriesRef, list[ImageFile]] = defaultdict(list)
    by_patient: dict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        facts = image.facts
        by_series[SeriesRef(facts.patient_id, facts.study_uid, facts.series_uid)].append(image)
        by_patient[facts.patient_id].append(image)
    for table in tables:
        for case in table.cases:
            whole, moved = _one_series(by_series, by_patient, [case.image])
            masks, masks_moved = _one_series(by_series, by_patient, [case.mask, case.crop])
            said = moved or masks_moved
            remark = "the series of the header is not that of the table; found by its Patient ID" if said else ""
            yield JoinedCase(case, table.split, whole[0] if len(whole) == 1 else None, tuple(masks), remark)


def from_cbis_ddsm(plan: CbisPlan, out: Path, settings: HarvestSettings, *, progress: Progress | None = None) -> Cohort:
    """Cut the ROIs of a plan and write the cohort.

    Args:
        plan: from `plan_cbis_ddsm`.
        out: cohort folder; new or empty.
        settings: how ROIs are cut; without a key the published patient names stay.
        progress: called after each ROI.

    Raises:
        InputError: pictures are missing or cannot be used (all are named) without ``skip_bad``, or none is left.
        ProtocolError: one spacing is asked for; the films do not say theirs.
        CohortError: ``out`` is not empty.
        MicrocalcError: the disk is full, or ``out`` cannot be written.
    """
    lesions: list[Lesion] = []
    left_out: list[LeftOut] = []
    for joined in plan.joined:
        lost = _lost(joined, plan)
        if lost is not None:
            left_out.append(lost)
        else:
            lesions.append(_lesion(joined))
    gathered = Harvest(
        source=str(plan.folder),
        description=CITATION,
        lesions=lesions,
        left_out=left_out,
        remarks=[Verdict("CBIS-DDSM", True, code, words) for code, words in _remarks(plan)],
        reasons=REASONS,
        published_names=True,
    )
    return harvest(gathered, out, settings, progress=progress)


def cbis_lines(plan: CbisPlan) -> Iterator[str]:
    """What was found and what not, line by line."""
    for table in plan.tables:
        counts = ", ".join(f"{count} {word}" for word, count in sorted(table.by_pathology().items()))
        use = "used" if table in plan.used else "early release, counted only" if table.early else "not used"
        rows = f"{len(table.cases)} rows of {len(table.patients)} patients"
        yield f"{table.kind}, {table.split}: {rows} ({counts}); {use}"
    for code, words in _remarks(plan):
        yield f"  {code}: {words}"
    yield f"files read: {plan.files[0]}; {plan.files[1]} of them belong to a row"
    lost = [item for item in (_lost(joined, plan) for joined in plan.joined) if item is not None]
    yield f"rows with mammogram and mask: {len(plan.joined) - len(lost)} of {len(plan.joined)}"
    by_code: dict[str, list[LeftOut]] = defaultdict(list)
    for item in lost:
        by_code[item.code].append(item)
    for items in by_code.values():
        yield f"  {len(items)} left out: {items[0].reason}"
        if not items[0].by_rule:
            yield from (f"    {item.source}" for item in items[:20])
            yield from [f"    and {len(items) - 20} more"] if len(items) > 20 else []


def cbis_table(plan: CbisPlan) -> bytes:
    """Every row of the tables in use with its mammogram and what became of it, as CSV: what was not found, whole."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["lesion", "set", "file", "masks", "outcome", "code", "message"])
    for joined in plan.joined:
        lost = _lost(joined, plan)
        fate = ("used", "", "") if lost is None else ("left out", lost.code, lost.message)
        masks = "; ".join(mask.name for mask in joined.masks)
        image = joined.image.name if joined.image else ""
        table.writerow([joined.name, joined.split.value, image, masks, *fate])
    return out.getvalue().encode("utf-8-sig", "replace")


def _usable_tables(found: Sequence[CbisTable], folder: Path) -> list[CbisTable]:
    full = [table for table in found if table.kind == "calcification" and not table.early]
    by_split: dict[Split, list[CbisTable]] = defaultdict(list)
    for table in full:
        by_split[table.split].append(table)
    twice = [tables for tables in by_split.values() if len({table.cases for table in tables}) > 1]
    if twice:
        names = ", ".join(str(table.path) for table in twice[0])
        raise InputError(f"{folder}: one table must describe the {twice[0][0].split} set; these differ: {names}")
    if not full:
        early = [str(table.path) for table in found if table.early]
        came = f"only tables of an early release, which name no series: {', '.join(early)}" if early else "none"
        raise InputError(
            f"{folder}: must hold calc_case_description_train_set.csv and calc_case_description_test_set.csv of "
            f"CBIS-DDSM; there is {came}. Fetch them from the collection's page at TCIA, or name their folder "
            "(--tables)"
        )
    return [tables[0] for tables in by_split.values()]


def _one_series(
    by_series: Mapping[SeriesRef, list[ImageFile]],
    by_patient: Mapping[str, list[ImageFile]],
    wanted: Sequence[SeriesRef | None],
) -> tuple[list[ImageFile], bool]:
    """Files of the wanted series, or else of their patient; and whether the series was another."""
    refs = [ref for ref in wanted if ref is not None]
    images = {image.name: image for ref in refs for image in by_series.get(ref, [])}
    if images:
        return list(images.values()), False
    images = {image.name: image for ref in refs for image in by_patient.get(ref.patient, [])}
    return list(images.values()), bool(images)


def _lost(joined: JoinedCase, plan: CbisPlan) -> LeftOut | None:
    case, code, message = joined.case, "", ""
    if plan.biopsied_only and case.pathology == WITHOUT_CALLBACK:
        code = "no_histopathology"
        return LeftOut(
            joined.name, code, REASONS[code], "benign without callback: no biopsy", case.patient, by_rule=True
        )
    if joined.image is None:
        code, message = "no-image", "no file has the header of the whole mammogram (Patient ID, Study and Series UID)"
    elif not joined.masks:
        code, message = "no-mask", "no file has the header of the mask (Patient ID, Study and Series UID)"
    return LeftOut(joined.name, code, REASONS[code], message, case.patient) if code else None


def _lesion(joined: JoinedCase) -> Lesion:
    case, image = joined.case, joined.image
    if image is None:
        raise ValueError("a row without a mammogram is no lesion")
    row = {
        "image_id": joined.name,
        "patient_id": case.patient,
        "lesion_id": case.lesion,
        "exam_date": "",  # the header has the day of the conversion, not of the exam
        "laterality": str(case.side),
        "view": str(case.view),
        "label": str(case.label),
        "birads": case.assessment,
        "morphology": read_morphology(case.morphology),
        "distribution": read_distribution(case.distribution),
        "split": joined.split.value,
    }
    return Lesion(joined.name, image.path, row, masks=tuple(mask.path for mask in joined.masks))


def _remarks(plan: CbisPlan) -> Iterator[tuple[str, str]]:
    """Code and words of each known defect that is there."""
    yield from _remarks_on_tables(plan)
    yield from _remarks_on_patients(plan)
    other = sum(joined.image is not None and not _agrees(joined.case, joined.image) for joined in plan.joined)
    if other:
        yield "header-side", f"{other} mammograms have another side or view in their header; the table was believed"
    moved = sum(bool(joined.remark) for joined in plan.joined)
    if moved:
        yield "moved-series", f"{moved} rows: the series of the header is not that of the table; found by Patient ID"


def _remarks_on_tables(plan: CbisPlan) -> Iterator[tuple[str, str]]:
    cases = [joined.case for joined in plan.joined]
    broken = sum(table.broken_lines for table in plan.used)
    if broken:
        yield "line-breaks", f"{broken} rows of the tables have a line break inside a path; it was taken out"
    if early := [table for table in plan.tables if table.early]:
        yield "early-release", f"{len(early)} tables of an early release name no series; they were counted, not joined"
    without = sum(case.pathology == WITHOUT_CALLBACK for case in cases)
    if without and not plan.biopsied_only:
        yield "without-callback", f"{without} rows are benign without callback: label 0, without histopathology"
    odd = sum(case.density not in ("1", "2", "3", "4") for case in cases)
    if odd:
        yield "density", f"{odd} rows have a breast density that BI-RADS does not know; nothing reads it"


def _remarks_on_patients(plan: CbisPlan) -> Iterator[tuple[str, str]]:
    several: set[str] = set().union(*(table.patients_of_two_kinds() for table in plan.used))
    if several:
        yield "several-pathologies", f"{len(several)} patients have lesions of more than one pathology"
    masses = [table for table in plan.tables if table.kind == "mass" and not table.early]
    for table in plan.used:
        others = [mass for mass in masses if mass.split != table.split]
        shared = shared_patients([table], others)
        if shared:
            yield (
                "shared-with-masses",
                f"{len(shared)} patients of the calcification {table.split} set are in the mass {others[0].split} set: "
                "a network trained on one must not be tested on the other",
            )
    both = shared_patients(
        [t for t in plan.used if t.split == Split.TRAIN], [t for t in plan.used if t.split == Split.TEST]
    )
    if both:
        yield "shared-sets", f"{len(both)} patients stand in the training and in the test set"


def _agrees(case: CbisCase, image: ImageFile) -> bool:
    return image.facts.laterality in ("", case.side) and image.facts.view in ("", case.view)
