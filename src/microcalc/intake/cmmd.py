"""CMMD, the Chinese Mammography Database (Cui et al. 2021): labels per breast, no place of any lesion.

The collection says of each breast whether it shows a calcification, a mass or both, and whether it was malignant, but
not where. So the squares need boxes that somebody brings: a table with a row for each lesion in each picture. Here that
table gets its labels from the clinical table, and is joined to the pictures as a hospital's spreadsheet is.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from microcalc.cohort.table import Cohort, Verdict
from microcalc.errors import InputError, TableError
from microcalc.intake.column_fields import one_line
from microcalc.intake.column_guess import SURE, guess_columns
from microcalc.intake.column_map import ColumnMap, RuleColumn
from microcalc.intake.from_dicom import harvest_of_join
from microcalc.intake.harvest import HarvestSettings, Progress, harvest
from microcalc.intake.image_files import ImageIndex, read_image_files
from microcalc.intake.joining import Join, join_rows
from microcalc.intake.labels import RowFault, label_rows
from microcalc.intake.rules import PAPER_REASONS
from microcalc.intake.sheets import read_sheet
from microcalc.intake.terms import read_laterality

__all__ = [
    "CITATION",
    "CmmdBreast",
    "CmmdPlan",
    "cmmd_lines",
    "count_breasts",
    "from_cmmd",
    "plan_cmmd",
    "read_cmmd_table",
]

CITATION: Mapping[str, object] = {
    "kind": "cmmd",
    "title": "The Chinese Mammography Database (CMMD)",
    "authors": "Cui C et al. (2021), The Cancer Imaging Archive",
    "doi": "10.7937/tcia.eqde-4b16",
    "license": "CC BY 4.0",
    "changes": "squares were cut around lesions that were marked by others",
}
"""Entry of ``sources`` in ``cohort.json``."""

COLUMNS = ("ID1", "LeftRight", "abnormality", "classification")
_CLASSES = {"Benign": 0, "Malignant": 1}
_KINDS = ("calcification", "mass", "both")

_OWN = {name: f"cmmd {name}" for name in ("label", "abnormality", "exam_date")}
"""Headers of the columns that are filled in."""

RULES: Mapping[str, RuleColumn] = {
    "no_calcification": RuleColumn(
        column=_OWN["abnormality"], yes=("mass",), no=("calcification", "both"), reason="no calcification"
    ),
    "mass": RuleColumn(
        column=_OWN["abnormality"], yes=("both",), no=("calcification", "mass"), reason=PAPER_REASONS["mass"]
    ),
}


_BOX_FIELDS = frozenset(
    ("sop_uid", "image_file", "patient_id", "laterality", "view", "roi_row", "roi_col", "box_top", "box_left",
     "box_bottom", "box_right", "box_width", "box_height", "mask_file", "lesion_id", "morphology", "distribution",
     "birads")
)  # fmt: skip
"""What a table of boxes may tell; labels come from the clinical table alone."""

_NO_BREAST = RowFault(
    "no-breast", "the clinical table has no such breast; patient_id and laterality must be written as they stand there"
)


@dataclass(frozen=True)
class CmmdBreast:
    """One breast of the clinical table.

    Attributes:
        patient: ``D1-0001``.
        side: L or R.
        abnormality: calcification, mass or both.
        label: 0 benign, 1 malignant; by biopsy.
        subtype: molecular, of some cancers; nothing reads it.
    """

    patient: str
    side: str
    abnormality: str
    label: int
    subtype: str


@dataclass(frozen=True)
class CmmdPlan:
    """Boxes, labelled and joined to the pictures.

    Attributes:
        folder: that was searched.
        breasts: of the clinical table.
        column_map: of the table of boxes.
        join: its rows and the files.
    """

    folder: Path
    breasts: tuple[CmmdBreast, ...]
    column_map: ColumnMap
    join: Join


def read_cmmd_table(path: Path) -> tuple[CmmdBreast, ...]:
    """Read the clinical table, ``CMMD_clinicaldata_revision`` as XLSX or CSV.

    Raises:
        TableError: it lacks a column, or a row holds a word that the table does not have.
    """
    table = read_sheet(path)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise TableError(f"{path}: the clinical table of CMMD must have the columns {COLUMNS}; {missing} missing")
    breasts = []
    for row, cells in enumerate(table.to_dict(orient="records"), start=2):
        side, kind, word = read_laterality(cells["LeftRight"]), cells["abnormality"], cells["classification"]
        if not side or kind not in _KINDS or word not in _CLASSES:
            raise TableError(
                f"{path}, row {row}: LeftRight must be L or R, abnormality one of {_KINDS} and classification one of "
                f"{tuple(_CLASSES)}; found {cells['LeftRight']!r}, {kind!r} and {word!r}"
            )
        breasts.append(CmmdBreast(cells["ID1"], side, kind, _CLASSES[word], cells.get("subtype", "")))
    return tuple(breasts)


def count_breasts(breasts: tuple[CmmdBreast, ...]) -> Counter[tuple[str, int]]:
    """Breasts by abnormality and label."""
    return Counter((breast.abnormality, breast.label) for breast in breasts)


def plan_cmmd(
    folder: Path,
    boxes: Path | None,
    *,
    with_masses: bool = False,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> CmmdPlan:
    """Label the boxes by the clinical table and join them to the pictures; nothing is written.

    Args:
        folder: with the clinical table and the download of TCIA.
        boxes: CSV or XLSX with patient, side, view (or file, or SOP Instance UID) and place of each lesion.
        with_masses: keep breasts with calcification and mass.
        processes: so many read headers.
        progress: called with the files done and all of them.

    Raises:
        InputError: there is no clinical table, or no boxes.
        TableError: a table cannot be read, or lacks a column.
    """
    breasts = read_cmmd_table(_clinical_table(folder))
    if boxes is None:
        raise InputError(_no_places(folder, breasts))
    index = ImageIndex(read_image_files(folder, processes=processes, progress=progress))
    table = read_sheet(boxes).rename(columns=one_line)
    guessed = {g.field: g.header for g in guess_columns(table) if g.field and g.confidence >= SURE}
    columns = {field: header for field, header in guessed.items() if field in _BOX_FIELDS}
    needed = [name for name in ("patient_id", "laterality") if name not in columns]
    if needed:
        raise TableError(
            f"{boxes}: the table of boxes must have the columns patient_id and laterality; {needed} missing"
        )
    shown = _breasts_of(table, columns, breasts)
    filled = _labelled(table, columns, shown, index)
    rules = {code: rule for code, rule in RULES.items() if not (with_masses and code == "mass")}
    columns |= {"label": _OWN["label"], "exam_date": _OWN["exam_date"]}
    column_map = ColumnMap(columns=columns, rules=rules, implants="keep")
    rows = label_rows(filled, column_map, source=str(boxes))
    join = join_rows(rows, index, keep_implants=True, masks=boxes.parent)
    return CmmdPlan(folder, breasts, column_map, _without_strangers(join, shown, breasts))


def from_cmmd(
    plan: CmmdPlan, boxes: Path, out: Path, settings: HarvestSettings, *, progress: Progress | None = None
) -> Cohort:
    """Cut the ROIs of a plan and write the cohort.

    Args:
        plan: from `plan_cmmd`.
        boxes: table of boxes; mask files are relative to its folder.
        out: cohort folder; new or empty.
        settings: how ROIs are cut.
        progress: called after each ROI.

    Raises:
        InputError: rows cannot be used (all are named) without ``skip_bad``, or none is left.
        CohortError: ``out`` is not empty.
    """
    gathered = harvest_of_join(plan.join, plan.column_map, CITATION, masks=boxes.parent)
    # The published days are not those of the exams: nearly all fall on the 18th of July.
    lesions = [replace(lesion, row={**lesion.row, "exam_date": ""}) for lesion in gathered.lesions]
    said = Verdict("CMMD", True, "label-of-breast", "labels are those of the breast: all lesions in it have the same")
    named = replace(gathered, source=str(plan.folder), lesions=lesions, remarks=[*gathered.remarks, said])
    return harvest(named, out, settings, progress=progress)


def cmmd_lines(plan: CmmdPlan) -> Iterator[str]:
    """What the clinical table holds, line by line; the join has its own report."""
    counts = count_breasts(plan.breasts)
    patients = len({breast.patient for breast in plan.breasts})
    yield f"clinical table: {len(plan.breasts)} breasts of {patients} patients"
    for kind in _KINDS:
        yield f"  {kind}: {counts[kind, 0]} benign, {counts[kind, 1]} malignant"


def _no_places(folder: Path, breasts: tuple[CmmdBreast, ...]) -> str:
    counts = count_breasts(breasts)
    alone, both = [tuple(counts[kind, label] for label in (0, 1)) for kind in ("calcification", "both")]
    return (
        f"{folder}: a lesion must have a place to be cut out, and CMMD publishes none; its table has {alone[0]} benign "
        f"and {alone[1]} malignant breasts with calcification alone, {both[0]} and {both[1]} with a mass as well. Mark "
        "the lesions and give them as --boxes TABLE.csv: patient_id, laterality, view, and box_top, box_left, "
        "box_bottom, box_right or roi_row, roi_col"
    )


def _clinical_table(folder: Path) -> Path:
    found = [path for path in sorted(folder.rglob("*")) if _is_clinical(path)]
    if len(found) != 1:
        raise InputError(
            f"{folder}: must hold the clinical table of CMMD (CMMD_clinicaldata_revision, XLSX or CSV, with the "
            f"columns {', '.join(COLUMNS)}); it holds {len(found) or 'none'}"
        )
    return found[0]


def _is_clinical(path: Path) -> bool:
    if path.suffix.casefold() == ".csv":
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline()
        return "LeftRight" in header and "classification" in header
    return path.suffix.casefold() == ".xlsx" and "clinical" in path.name.casefold()


def _breasts_of(
    table: pd.DataFrame, columns: Mapping[str, str], breasts: tuple[CmmdBreast, ...]
) -> list[CmmdBreast | None]:
    """The breast of each box; None where the clinical table has none of this patient and side."""
    known = {(breast.patient, breast.side): breast for breast in breasts}
    sides = [read_laterality(str(cell)) or "" for cell in table[columns["laterality"]]]
    return [known.get(key) for key in zip(_patients(table, columns), sides, strict=True)]


def _patients(table: pd.DataFrame, columns: Mapping[str, str]) -> list[str]:
    return [str(cell).strip() for cell in table[columns["patient_id"]]]


def _labelled(
    table: pd.DataFrame, columns: Mapping[str, str], shown: Sequence[CmmdBreast | None], index: ImageIndex
) -> pd.DataFrame:
    """The table of boxes with label and abnormality of each breast, and the day of its pictures."""
    return table.assign(
        **{
            _OWN["label"]: ["" if breast is None else str(breast.label) for breast in shown],
            _OWN["abnormality"]: ["" if breast is None else breast.abnormality for breast in shown],
            _OWN["exam_date"]: [_day_of(index, patient) for patient in _patients(table, columns)],
        }
    )


def _without_strangers(join: Join, shown: Sequence[CmmdBreast | None], breasts: tuple[CmmdBreast, ...]) -> Join:
    """Boxes of breasts that the clinical table lacks become faults: every breast there was biopsied, so no rule fits.

    A patient that it does not know is a typing error and nobody, so that the flow does not count one more.
    """
    known = {breast.patient for breast in breasts}
    rows = []
    for joined, breast in zip(join.rows, shown, strict=True):
        if breast is not None:
            rows.append(joined)
            continue
        patient = joined.patient if joined.patient in known else ""
        rows.append(replace(joined, patient=patient, left_out=None, faults=(_NO_BREAST, *joined.faults)))
    return replace(join, rows=tuple(rows))


def _day_of(index: ImageIndex, patient: str) -> str:
    """The day of a patient's pictures, for the join; any day where there are none, which the join then says."""
    days = {image.facts.study_date for image in index.of_patient(patient)}
    return days.pop() if len(days) == 1 else "" if days else "1900-01-01"
