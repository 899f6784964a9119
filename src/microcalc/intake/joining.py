"""Rows of a spreadsheet joined to the mammograms of a folder, one by one, and a report of what joined and what did not.

A row is looked up by the surest thing that it tells: SOP Instance UID, file, accession number, or patient and day;
side, view and magnification then narrow it down. Where more than one mammogram fits the row is ambiguous, and named;
where row and header contradict each other the row is named too. Nothing is read but headers, nothing is written.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from microcalc.intake.copies import differences
from microcalc.intake.dicom import VERDICT_MEANING
from microcalc.intake.image_files import ImageFile, ImageIndex
from microcalc.intake.labels import Exposure, ImageKey, LabelRow, RowFault
from microcalc.intake.rules import PAPER_REASONS, Rule
from microcalc.intake.true_days import FIRST_TRUE_DAY, LAST_TRUE_DAY, can_be_shifted

__all__ = ["IMPLANT", "Join", "JoinedRow", "join_rows", "mask_path"]

IMPLANT = Rule("implant", PAPER_REASONS["implant"], "")

_BY_UID, _BY_FILE = "SOP Instance UID", "file"
_BY_ACCESSION, _BY_PATIENT = "accession number", "patient and date"

_WAY_OUT = "Name the mammogram by its SOP Instance UID or its file, or write side and view"
_WAY_OUT_OF_ONE_UID = "Name the mammogram by its file: they share a SOP Instance UID"


@dataclass(frozen=True)
class JoinedRow:
    """A row and what became of it.

    Attributes:
        row: of the spreadsheet.
        image: its mammogram; None where none was found.
        patient: as in the image, else as in the row, with the leading zeros that the images have.
        by: what found it.
        left_out: the rule that leaves it out.
        faults: why it cannot be used; empty where it can.
    """

    row: LabelRow
    image: ImageFile | None
    patient: str
    by: str = ""
    left_out: Rule | None = None
    faults: tuple[RowFault, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether a ROI is cut for it."""
        return self.left_out is None and not self.faults


@dataclass(frozen=True)
class Join:
    """All rows and all files.

    Attributes:
        rows: in the order of the spreadsheet.
        index: of the files.
    """

    rows: tuple[JoinedRow, ...]
    index: ImageIndex = field(repr=False)

    @property
    def usable(self) -> list[JoinedRow]:
        """Rows whose ROI is cut."""
        return [joined for joined in self.rows if joined.usable]

    @property
    def left_out(self) -> list[JoinedRow]:
        """Rows that a rule leaves out."""
        return [joined for joined in self.rows if joined.left_out is not None]

    @property
    def faulty(self) -> list[JoinedRow]:
        """Rows that cannot be used."""
        return [joined for joined in self.rows if joined.left_out is None and joined.faults]

    @property
    def named(self) -> set[str]:
        """Names of the files that a row was joined to."""
        return {joined.image.name for joined in self.rows if joined.image is not None}


def join_rows(
    rows: Iterable[LabelRow], index: ImageIndex, *, keep_implants: bool = False, masks: Path | None = None
) -> Join:
    """Join rows to files.

    Args:
        rows: of the spreadsheet.
        index: of the files.
        keep_implants: whether images whose header tells of an implant stay.
        masks: folder that mask files are relative to; None: they are not looked for.
    """
    joined = _without_repeats(_join(row, index, keep_implants=keep_implants, masks=masks) for row in rows)
    return Join(tuple(_with_one_label_each(list(joined))), index)


def _join(row: LabelRow, index: ImageIndex, *, keep_implants: bool, masks: Path | None) -> JoinedRow:
    """A rule counts before any fault; a fault of the row before one of the join."""
    found: ImageFile | RowFault
    found, by = _find(row.key, index) if row.key.is_enough else (RowFault("no-key", ""), "")
    image = found if isinstance(found, ImageFile) else None
    patient = (image.facts.patient_id if image else "") or index.patient(row.key.patient_id)
    rule = row.left_out
    if rule is None and image is not None and image.facts.implant and not keep_implants:
        rule = IMPLANT
    faults = [*row.faults, *_impossible_day(row)]
    if isinstance(found, RowFault) and found.message:
        faults.append(found)
    if image is not None:
        faults += [*_misplaced(row, image), *_unnameable(patient)]
    if row.mask and masks is not None and not mask_path(row.mask, masks).is_file():
        faults.append(RowFault("no-mask", "the mask file must exist; there is none. Give its folder as --masks"))
    return JoinedRow(row, image, patient, by if image else "", rule, tuple(faults))


def mask_path(written: str, folder: Path) -> Path:
    """Path of a mask; backslashes, as Windows writes them, part folders everywhere."""
    return folder / written.replace("\\", "/")


def _find(key: ImageKey, index: ImageIndex) -> tuple[ImageFile | RowFault, str]:
    if key.sop_uid:
        images = index.of_uid(key.sop_uid, name=key.image_file)
        if len(images) > 1:
            agreeing = [image for image in images if all(holds for _, holds in _agreements(key, index, image))]
            images = agreeing or images[:1]
        way_out = "write more of the path" if key.image_file else "name the file as well"
        several = f"have this SOP Instance UID but not the same {_apart(images)}; {way_out}"
        return _one(key, index, images, ("no file has this SOP Instance UID", several)), _BY_UID
    if key.image_file:
        images = index.of_name(key.image_file)
        words = ("no file of the folder has this name", "of the folder have this name; write more of the path")
        return _one(key, index, images, words), _BY_FILE
    if key.accession_number:
        images = index.of_accession(key.accession_number)
        return _narrowed(key, index, images, "no file has this accession number"), _BY_ACCESSION
    images = index.of_patient(key.patient_id)
    return _narrowed(key, index, images, "no file is of this patient"), _BY_PATIENT


def _apart(images: list[ImageFile]) -> str:
    """What parts files of one SOP Instance UID."""
    if len({image.picture for image in images}) > 1:
        return "picture"
    return f"{', '.join(differences([image.facts for image in images]))} in their headers"


def _one(key: ImageKey, index: ImageIndex, images: list[ImageFile], words: tuple[str, str]) -> ImageFile | RowFault:
    """A file that the row names; the rest of the row must agree with its header. Words are for none and for several."""
    nothing, several = words
    if not images:
        return RowFault("no-image", nothing)
    if len(images) > 1:
        return RowFault("ambiguous", f"{len(images)} files {several}")
    image = images[0]
    contradicted = [words for words, holds in _agreements(key, index, image) if not holds]
    if contradicted:
        return RowFault(
            "contradiction", f"{', '.join(contradicted)} of the row and of the file must agree; they do not"
        )
    return _accepted(image)


def _narrowed(key: ImageKey, index: ImageIndex, images: list[ImageFile], nothing: str) -> ImageFile | RowFault:
    """The one file among those of an exam or a patient that has the day, side and view of the row."""
    if not images:
        return RowFault("no-image", nothing)
    ids = {image.facts.accession_number if key.accession_number else image.facts.patient_id for image in images}
    if len(ids) > 1:
        text = f"{len(ids)} numbers of the images are this but for leading zeros. Write the zeros, or name the file"
        return RowFault("ambiguous", text)
    for words, fits in _narrowings(key, index):
        left = [image for image in images if fits(image)]
        if not left:
            seen = ", ".join(sorted({image.seen for image in images}))
            there = f"; there is {seen}" if words != "day" else _other_days(images)
            return RowFault("no-image", f"no file of this exam has the row's {words}{there}")
        images = left
    usable = [image for image in images if image.refusal is None]
    if len(usable) > 1:
        seen = ", ".join(sorted(image.seen for image in usable))
        uids = {image.facts.sop_uid for image in usable}
        way_out = _WAY_OUT if len(uids) > 1 or not any(uids) else _WAY_OUT_OF_ONE_UID
        return RowFault("ambiguous", f"{len(usable)} mammograms fit: {seen}. {way_out}")
    return usable[0] if usable else _accepted(images[0])


def _accepted(image: ImageFile) -> ImageFile | RowFault:
    if image.refusal is None:
        return image
    return RowFault(image.refusal.code.value, f"its file cannot be used: {VERDICT_MEANING[image.refusal.code]}")


def _narrowings(key: ImageKey, index: ImageIndex) -> Iterator[tuple[str, Callable[[ImageFile], bool]]]:
    if key.accession_number and key.patient_id:
        yield "patient", lambda image: index.same_patient(key.patient_id, image)
    if key.exam_date:
        untold_fits = bool(key.accession_number)  # it names the exam without a day
        yield "day", lambda image: key.exam_date in _days(image) or (untold_fits and not _days(image))
    if key.laterality:
        yield "side", lambda image: image.facts.laterality == key.laterality
    if key.view:
        yield "view", lambda image: image.facts.view == key.view
    exposure = key.exposure
    if exposure is not None:
        yield exposure.value, lambda image: _taken_so(image, exposure)


def _taken_so(image: ImageFile, exposure: Exposure) -> bool:
    if exposure is Exposure.MAGNIFIED:
        return image.facts.spot_magnification
    spot = image.is_spot or image.facts.spot_magnification  # few headers say of a magnification view that it is a spot
    return spot if exposure is Exposure.SPOT else not spot


def _agreements(key: ImageKey, index: ImageIndex, image: ImageFile) -> Iterator[tuple[str, bool]]:
    """What row and header both tell, and whether they tell the same."""
    facts = image.facts
    if key.patient_id and facts.patient_id:
        yield "patient", index.same_patient(key.patient_id, image)
    if key.accession_number and facts.accession_number:
        yield "accession number", index.same_accession(key.accession_number, image)
    if key.exam_date and _days(image):
        yield "day", key.exam_date in _days(image)
    if key.laterality and facts.laterality:
        yield "side", key.laterality == facts.laterality
    if key.view and facts.view:
        yield "view", key.view == facts.view


def _days(image: ImageFile) -> list[str]:
    return [day for day in (image.facts.study_date, image.facts.acquisition_date) if day]


def _other_days(images: list[ImageFile]) -> str:
    firsts = [next(iter(_days(image)), "") for image in images]
    text, untold = f"; there are exams of {len({*firsts} - {''})} other days", firsts.count("")
    if not untold:
        return text
    files, it, its = ("1 file tells", "it", "its") if untold == 1 else (f"{untold} files tell", "them", "their")
    way_out = f"name {it} by {its} SOP Instance UID, {its} file or {its} accession number"
    return f"{text}; {files} no possible day: {way_out}"


def _misplaced(row: LabelRow, image: ImageFile) -> list[RowFault]:
    """A lesion outside its image is noticed before any pixel is read."""
    facts = image.facts
    if row.box is None or not (facts.rows and facts.columns):
        return []
    centre_row, centre_col = row.box.centre
    if -0.5 <= centre_row < facts.rows - 0.5 and -0.5 <= centre_col < facts.columns - 0.5:
        return []
    return [
        RowFault(
            "outside",
            f"the lesion must lie in its mammogram of {facts.rows} rows x {facts.columns} columns; its middle is row "
            f"{centre_row:g}, column {centre_col:g}. Rows are counted from the top, columns from the left, both from 0",
        )
    ]


def _impossible_day(row: LabelRow) -> Iterator[RowFault]:
    """A day that cannot be shifted is noticed before anything is cut; one of a header counts as not told."""
    if not can_be_shifted(row.key.exam_date):
        yield RowFault("bad-date", f"an exam must be of {FIRST_TRUE_DAY} to {LAST_TRUE_DAY}; mend the day of the row")


def _unnameable(patient: str) -> Iterator[RowFault]:
    """What could get no pseudonym is noticed before anything is cut."""
    if not patient:
        text = "the patient must be known, by the header of the image or a column patient_id; both are empty"
        yield RowFault("no-patient", text)


def _with_one_label_each(rows: list[JoinedRow]) -> Iterator[JoinedRow]:
    """A lesion has one biopsy result; where its rows have two, which of them is right nobody can tell here."""
    labels: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for joined in rows:
        if joined.usable:
            labels[_lesion(joined)].add(joined.row.values.get("label", ""))
    for joined in rows:
        known = labels[_lesion(joined)]
        if joined.usable and joined.row.values.get("lesion_id") and len(known) > 1:
            fault = RowFault("lesion-labels", "a lesion must have one label in all its rows; this one has two")
            yield replace(joined, faults=(fault,))
        else:
            yield joined


def _lesion(joined: JoinedRow) -> tuple[str, str, str]:
    """Patient, side and name of a row's lesion."""
    side = joined.image.facts.laterality if joined.image else ""
    return joined.patient, str(side), joined.row.values.get("lesion_id", "")


def _without_repeats(rows: Iterable[JoinedRow]) -> Iterator[JoinedRow]:
    """The same place of the same image twice is one ROI under two names."""
    seen: dict[tuple[str, object], JoinedRow] = {}
    for joined in rows:
        place: object = joined.row.box or joined.row.mask
        if not joined.usable or joined.image is None or not place:
            yield joined
            continue
        first = seen.setdefault((joined.image.name, place), joined)
        if first is joined:
            yield joined
            continue
        name = first.row.name
        fault = RowFault("repeated", f"a lesion of a mammogram may stand in one row; {name} has the same place")
        yield replace(joined, faults=(fault,))
