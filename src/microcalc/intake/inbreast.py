"""INbreast (Moreira et al. 2012): BI-RADS per picture, outlines as OsiriX property lists, no table of biopsies.

The collection publishes no histopathology per picture, so a label needs a rule that somebody states (`LabelRule`), and
the cohort says so. Squares are cut around the outlines named Cluster; single calcifications can be put together by
their distance. Pictures and outlines are joined by the digits that begin their file names: there is nothing else.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microcalc.cohort.table import Cohort, Verdict
from microcalc.errors import InputError, ProtocolError, TableError
from microcalc.intake.crop import Box
from microcalc.intake.harvest import Harvest, HarvestSettings, LeftOut, Progress, harvest
from microcalc.intake.image_files import find_files
from microcalc.intake.lesions import Lesion
from microcalc.intake.outlines import Outline, box_around, group_points, read_outlines
from microcalc.intake.rules import PAPER_REASONS
from microcalc.intake.sheets import read_sheet
from microcalc.intake.terms import plain, read_birads, read_laterality, read_view

__all__ = [
    "CITATION",
    "InbreastPicture",
    "InbreastRules",
    "LabelRule",
    "from_inbreast",
    "inbreast_lines",
    "plan_inbreast",
]

CITATION: Mapping[str, object] = {
    "kind": "inbreast",
    "title": "INbreast",
    "authors": "Moreira IC, Amaral I, Domingues I, Cardoso A, Cardoso MJ, Cardoso JS",
    "article": "INbreast: toward a full-field digital mammographic database, Acad Radiol 2012;19:236-248",
    "doi": "10.1016/j.acra.2011.09.014",
    "license": "on request from the authors",
    "changes": "squares were cut around outlined calcifications",
}
"""Entry of ``sources`` in ``cohort.json``."""

PIXEL_MM = 0.07
"""Size of a pixel of the collection's detector, for distances between calcifications."""

FEWEST_IN_GROUP = 5
"""Calcifications that make a group (ACR BI-RADS Atlas, 5th edition)."""

REASONS: Mapping[str, str] = {
    "mass": PAPER_REASONS["mass"],
    "birads-undecided": "BI-RADS category that the rule of the label leaves open",
    "no-cluster": "calcifications without an outlined cluster",
    "no-image": "mammogram not found",
    "bad-outline": "outlines cannot be read",
}

_PARTS_OF_FOUR = ("4A", "4B", "4C")

_COLUMNS = ("file name", "laterality", "view", "bi rads")
_FILE_NAME = re.compile(r"(?P<number>\d{6,})_(?P<patient>[0-9a-f]+)_MG_[LR]_[A-Z]+_", re.I)


@dataclass(frozen=True)
class LabelRule:
    """Which BI-RADS categories are taken as benign and which as malignant; pictures of the others are left out.

    Attributes:
        benign: categories of label 0.
        malignant: categories of label 1.
    """

    benign: frozenset[str]
    malignant: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> "LabelRule":
        """Read ``benign:1,2,3 malignant:5,6``; 4 stands for 4A, 4B and 4C as well.

        Raises:
            ProtocolError: it is not of this form, or a category stands on both sides.
        """
        parts = [part.partition(":") for part in text.split()]
        sides = {side: _categories(words) for side, _, words in parts}
        good = set(sides) == {"benign", "malignant"} and all(all(categories) for categories in sides.values())
        if not good or set(sides["benign"]) & set(sides["malignant"]):
            raise ProtocolError(
                "the rule of the label must be like 'benign:1,2,3 malignant:5,6', each category on one side; "
                f"got {text!r}"
            )
        return cls(*(frozenset(c for c in sides[side] if c) for side in ("benign", "malignant")))

    def label(self, category: str) -> int | None:
        """0, 1, or None where the rule leaves it open."""
        return 0 if category in self.benign else 1 if category in self.malignant else None

    def __str__(self) -> str:
        return f"benign:{','.join(sorted(self.benign))} malignant:{','.join(sorted(self.malignant))}"


def _categories(words: str) -> list[str | None]:
    read = [read_birads(word) for word in words.split(",")]
    return [*read, *_PARTS_OF_FOUR] if "4" in read else read


@dataclass(frozen=True)
class InbreastRules:
    """What is decided for the collection.

    Attributes:
        label: from BI-RADS; there is nothing else.
        group_mm: single calcifications within this distance become one ROI, where no cluster is outlined; None: not.
        with_masses: keep pictures with an outlined mass.
    """

    label: LabelRule
    group_mm: float | None = None
    with_masses: bool = False


@dataclass(frozen=True)
class InbreastPicture:
    """A row of the table, with its files.

    Attributes:
        number: digits that begin the names of its files.
        patient: code of the patient in the file's name; "" without a file.
        laterality: L or R.
        view: CC, MLO, ...
        birads: category.
        path: DICOM file; None where it was not found.
        outlines: as drawn; empty where there are none.
        fault: why the outlines cannot be read.
    """

    number: str
    patient: str
    laterality: str
    view: str
    birads: str
    path: Path | None
    outlines: tuple[Outline, ...]
    fault: str = ""

    @property
    def has_calcifications(self) -> bool:
        """Whether any are outlined, alone or in clusters."""
        return any(outline.is_cluster or outline.is_calcification for outline in self.outlines)


def plan_inbreast(folder: Path) -> list[InbreastPicture]:
    """Read the table and the outlines, and find the pictures; nothing is written.

    Args:
        folder: with INbreast.csv (or XLSX), AllDICOMs and AllXML.

    Raises:
        InputError: a part is missing.
        TableError: the table lacks a column, or holds words that are not known.
    """
    table = _table(folder)
    named = {path: _FILE_NAME.match(path.name) for path in find_files(folder)}
    files = {match["number"]: (path, match["patient"]) for path, match in named.items() if match}
    outlines = {path.stem: path for path in sorted(folder.rglob("*.xml"))}
    pictures = []
    for row, cells in enumerate(read_sheet(table).to_dict(orient="records"), start=2):
        by_name = {plain(str(name)): str(cell).strip() for name, cell in cells.items()}
        if by_name["file name"].isdecimal():  # the last lines of the published table are notes
            pictures.append(_picture(by_name, f"{table}, row {row}", files, outlines))
    return pictures


def from_inbreast(
    folder: Path,
    out: Path,
    settings: HarvestSettings,
    rules: InbreastRules,
    *,
    progress: Progress | None = None,
) -> Cohort:
    """Cut the ROIs and write the cohort.

    Args:
        folder: see `plan_inbreast`.
        out: cohort folder; new or empty.
        settings: how ROIs are cut.
        rules: what is decided for the collection.
        progress: called after each ROI.

    Raises:
        InputError: pictures are missing or cannot be used (all are named) without ``skip_bad``, or none is left.
        CohortError: ``out`` is not empty.
    """
    pictures = [picture for picture in plan_inbreast(folder) if picture.has_calcifications or picture.fault]
    found = [_sorted(picture, rules) for picture in pictures]
    words = (
        f"labels are radiologists' BI-RADS categories ({rules.label}), not histopathology: networks trained on them "
        "learn what radiologists think"
    )
    gathered = Harvest(
        source=str(folder),
        description={**CITATION, "label_rule": str(rules.label), "group_mm": rules.group_mm or ""},
        lesions=[lesion for lesions, _ in found for lesion in lesions],
        left_out=[lost for _, lost in found if lost is not None],
        remarks=[Verdict("INbreast", True, "label-by-birads", words)],
        reasons=REASONS,
        published_names=True,
    )
    return harvest(gathered, out, settings, progress=progress)


def inbreast_lines(pictures: Sequence[InbreastPicture], rules: InbreastRules | None) -> Iterator[str]:
    """What was found, line by line."""
    with_file = sum(picture.path is not None for picture in pictures)
    yield f"pictures in the table: {len(pictures)}, {with_file} with a DICOM file"
    marked = [picture for picture in pictures if picture.has_calcifications]
    clusters = sum(outline.is_cluster for picture in marked for outline in picture.outlines)
    yield f"  with outlined calcifications: {len(marked)}; clusters outlined: {clusters}"
    categories = Counter(picture.birads for picture in marked)
    yield "  BI-RADS of these: " + ", ".join(f"{category}: {categories[category]}" for category in sorted(categories))
    if rules is None:
        return
    found = [_sorted(picture, rules) for picture in pictures if picture.has_calcifications or picture.fault]
    lost = Counter(out.reason for _, out in found if out is not None)
    yield f"ROI images to cut: {sum(len(lesions) for lesions, _ in found)}, label by {rules.label}"
    yield from (f"  {count} pictures left out: {reason}" for reason, count in lost.items())


def _table(folder: Path) -> Path:
    for pattern in ("*.csv", "*.xlsx"):
        for path in sorted(folder.rglob(pattern)):
            header = {plain(str(name)) for name in read_sheet(path).columns}
            if set(_COLUMNS) <= header:
                return path
    old = next(folder.rglob("*.xls"), None)
    hint = f"; save {old.name} as XLSX or CSV UTF-8" if old else ""
    raise InputError(
        f"{folder}: must hold the table of INbreast (CSV or XLSX with the columns File Name, Laterality, View and "
        f"Bi-Rads); it holds none{hint}"
    )


def _picture(
    cells: Mapping[str, str], where: str, files: Mapping[str, tuple[Path, str]], outlines: Mapping[str, Path]
) -> InbreastPicture:
    number = cells["file name"]
    side, view = read_laterality(cells["laterality"]), read_view(cells["view"])
    category = read_birads(cells["bi rads"])
    if side is None or view is None or category is None:
        found = ", ".join(repr(cells[name]) for name in _COLUMNS[1:])
        raise TableError(f"{where}: side, view and BI-RADS must be known words; found {found}")
    path, patient = files.get(number, (None, ""))
    drawn: tuple[Outline, ...] = ()
    fault = ""
    if number in outlines:
        try:
            drawn = read_outlines(outlines[number])
        except InputError as error:
            fault = str(error).removeprefix(f"{outlines[number]}: ")
    return InbreastPicture(number, patient, side, view, category, path, drawn, fault)


def _sorted(picture: InbreastPicture, rules: InbreastRules) -> tuple[list[Lesion], LeftOut | None]:
    """ROIs of a picture, or why it has none."""
    label = rules.label.label(picture.birads)
    if not rules.with_masses and any(outline.is_mass for outline in picture.outlines):
        return [], _left_out(picture, "mass", by_rule=True)
    if picture.fault:
        return [], _left_out(picture, "bad-outline", picture.fault)
    if label is None:
        return [], _left_out(picture, "birads-undecided", by_rule=True)
    boxes = _boxes(picture, rules.group_mm)
    if not boxes:
        return [], _left_out(picture, "no-cluster", by_rule=True)
    if picture.path is None:
        return [], _left_out(picture, "no-image", "no file has a name that begins with the picture's digits")
    row = {
        "patient_id": picture.patient,
        "exam_date": "",  # the table has the month only
        "laterality": picture.laterality,
        "view": picture.view,
        "label": str(label),
        "birads": picture.birads,
    }
    return [
        Lesion(picture.number, picture.path, {**row, "image_id": f"{picture.number}_{k}"}, box)
        for k, box in enumerate(boxes, start=1)
    ], None


def _left_out(picture: InbreastPicture, code: str, message: str = "", *, by_rule: bool = False) -> LeftOut:
    return LeftOut(picture.number, code, REASONS[code], message or REASONS[code], picture.patient, by_rule=by_rule)


def _boxes(picture: InbreastPicture, group_mm: float | None) -> list[Box]:
    clusters = [box_around(outline.points) for outline in picture.outlines if outline.is_cluster]
    single = [outline.points.mean(axis=0) for outline in picture.outlines if outline.is_calcification]
    if clusters or group_mm is None or not single:
        return clusters
    points = np.array(single)
    groups = group_points(points, group_mm / PIXEL_MM)
    return [box_around(points[members]) for members in groups if len(members) >= FEWEST_IN_GROUP]
