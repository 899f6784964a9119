"""The hospital's way: a folder of DICOM mammograms and a spreadsheet of biopsy results become a cohort.

`plan_from_dicom` reads spreadsheet and headers and joins them, which a dry run shows; `from_dicom` carries the plan
out.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from microcalc.cohort.table import Cohort, Verdict
from microcalc.intake.column_map import ColumnMap
from microcalc.intake.dicom import ReadOptions
from microcalc.intake.harvest import Harvest, HarvestSettings, LeftOut, Progress, harvest
from microcalc.intake.image_files import ImageIndex, read_image_files
from microcalc.intake.joining import IMPLANT, Join, JoinedRow, join_rows, mask_path
from microcalc.intake.labels import NO_HISTOPATHOLOGY, read_labels
from microcalc.intake.lesions import Lesion
from microcalc.intake.rules import PAPER_REASONS

__all__ = ["DicomSource", "from_dicom", "harvest_of_join", "plan_from_dicom"]

FAULT_REASONS: Mapping[str, str] = {
    "no-image": "no mammogram found",
    "ambiguous": "several mammograms fit",
    "contradiction": "row and image contradict each other",
    "left-and-right": "left and right in one row",
    "no-breast": "breast not in the clinical table",
    "no-key": "mammogram not named",
    "unknown-word": "word not known",
    "label-pathology": "label contradicts pathology",
    "lesion-labels": "two labels for one lesion",
    "no-place": "lesion not located",
    "bad-place": "lesion not located",
    "outside": "lesion outside the image",
    "repeated": "the same lesion twice",
    "no-patient": "patient not known",
    "bad-date": "wrong day of the exam",
    "no-mask": "mask not found",
    "bad-mask": "mask cannot be used",
    "no-spacing": "size of a pixel not known",
}
"""Words of the flow diagram for rows that cannot be used."""


@dataclass(frozen=True)
class DicomSource:
    """What a hospital brings.

    Attributes:
        folder: of the DICOM files.
        labels: spreadsheet, CSV or XLSX.
        column_map: which column holds what.
        sheet: of a workbook; default the first.
        masks: folder that mask files are relative to; default the spreadsheet's own.
        options: how DICOM is read.
    """

    folder: Path
    labels: Path
    column_map: ColumnMap
    sheet: str | None = None
    masks: Path | None = None
    options: ReadOptions = field(default_factory=ReadOptions)

    @property
    def mask_folder(self) -> Path:
        """Folder that mask files are relative to."""
        return self.masks or self.labels.parent


def plan_from_dicom(
    source: DicomSource, *, processes: int = 1, progress: Callable[[int, int], None] | None = None
) -> Join:
    """Read spreadsheet and headers, and join them; nothing is written.

    Args:
        source: what there is.
        processes: so many read headers.
        progress: called with the files done and all of them.

    Raises:
        TableError: the spreadsheet cannot be read, or lacks a column of the map.
        InputError: there is no such folder, or nothing in it.
    """
    rows = read_labels(source.labels, source.column_map, sheet=source.sheet)
    images = read_image_files(source.folder, options=source.options, processes=processes, progress=progress)
    keep = source.column_map.implants == "keep"
    index = ImageIndex(images, options=source.options, processes=processes)
    return join_rows(rows, index, keep_implants=keep, masks=source.mask_folder)


def from_dicom(
    source: DicomSource, join: Join, out: Path, settings: HarvestSettings, *, progress: Progress | None = None
) -> Cohort:
    """Cut the ROIs of a plan and write the cohort.

    Args:
        source: what the plan was made of.
        join: from `plan_from_dicom`.
        out: cohort folder; new or empty.
        settings: how ROIs are cut and named; the key must lie outside ``out``.
        progress: called after each ROI.

    Raises:
        InputError: faults (all are named) without ``skip_bad``, or no ROI is left.
        CohortError: ``out`` is not empty.
        MicrocalcError: the disk is full, ``out`` cannot be written, or a process died.
    """
    description = {
        "kind": "dicom",
        "title": "DICOM mammograms and a spreadsheet",
        "columns": sorted(source.column_map.columns),
        "rules": list(source.column_map.rules),
    }
    gathered = harvest_of_join(join, source.column_map, description, masks=source.mask_folder)
    return harvest(replace(gathered, source=f"{source.labels} and {source.folder}"), out, settings, progress=progress)


def harvest_of_join(join: Join, column_map: ColumnMap, description: Mapping[str, object], *, masks: Path) -> Harvest:
    """All that a join yields.

    Args:
        join: of rows and files.
        column_map: whose rules count, in their order.
        description: entry of ``sources`` in ``cohort.json``.
        masks: folder that mask files are relative to.
    """
    lesions, left_out = _sorted_rows(join, masks)
    own = {code: rule.reason or PAPER_REASONS.get(code, code) for code, rule in column_map.rules.items()}
    return Harvest(
        source="",
        description=description,
        lesions=lesions,
        left_out=left_out,
        remarks=_remarks(join),
        reasons={**own, **PAPER_REASONS, **FAULT_REASONS},
        rules=(*own, NO_HISTOPATHOLOGY.code, *([IMPLANT.code] if column_map.implants == "leave_out" else [])),
        record={"join": _counts(join)},
    )


def _sorted_rows(join: Join, masks: Path) -> tuple[list[Lesion], list[LeftOut]]:
    lesions: list[Lesion] = []
    left_out: list[LeftOut] = []
    for joined in join.rows:
        row = joined.row
        if joined.left_out is not None:
            rule = joined.left_out
            left_out.append(LeftOut(row.name, rule.code, rule.reason, rule.reason, joined.patient, by_rule=True))
        elif joined.faults or joined.image is None:
            left_out.append(_fault(joined))
        else:
            lesions.append(_lesion(joined, masks))
    return lesions, left_out


def _fault(joined: JoinedRow) -> LeftOut:
    first = joined.faults[0]
    message = "; ".join(dict.fromkeys(fault.message for fault in joined.faults))
    reason = FAULT_REASONS.get(first.code, first.code.replace("_", " "))
    return LeftOut(joined.row.name, first.code, reason, message, joined.patient)


def _lesion(joined: JoinedRow, folder: Path) -> Lesion:
    image = joined.image
    if image is None:
        raise ValueError("a row without a mammogram is no lesion")
    masks = () if joined.row.box else (mask_path(joined.row.mask, folder),)
    row = {**joined.row.values, "patient_id": joined.patient}
    return Lesion(joined.row.name, image.path, row, joined.row.box, masks)


def _remarks(join: Join) -> list[Verdict]:
    """What the whole of the join says; in numbers, for files are named after patients."""
    remarks = []
    nameless = sum(image.refusal is None and image.name not in join.named for image in join.index.images)
    if nameless:
        many = "1 mammogram of the folder is" if nameless == 1 else f"{nameless} mammograms of the folder are"
        text = f"{many} named by no row of the spreadsheet"
        remarks.append(Verdict("folder", True, "files-without-row", text))
    if join.index.copies:
        many = "1 file is a copy" if len(join.index.copies) == 1 else f"{len(join.index.copies)} files are copies"
        text = f"{many} of a mammogram (the same SOP Instance UID)"
        remarks.append(Verdict("folder", True, "copies", text))
    if join.index.repaired_ids:
        many = "1 ID" if join.index.repaired_ids == 1 else f"{join.index.repaired_ids} IDs"
        text = f"{many} without the leading zeros of the images; completed where only one patient fits"
        remarks.append(Verdict("spreadsheet", True, "leading-zeros", text))
    return remarks


def _counts(join: Join) -> dict[str, object]:
    refused = Counter(image.refusal.code.value for image in join.index.images if image.refusal is not None)
    return {
        "rows": len(join.rows),
        "joined_by": dict(Counter(joined.by for joined in join.rows if joined.by)),
        "files": len(join.index.images) + len(join.index.copies),
        "mammograms": sum(image.refusal is None for image in join.index.images),
        "no_mammograms": dict(sorted(refused.items())),
    }
