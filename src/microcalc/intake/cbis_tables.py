"""The description tables of CBIS-DDSM (Lee et al. 2017): which lesion is where, what it was, and in which set.

The four tables that TCIA offers hold the series of each picture as ``PATIENT/STUDY UID/SERIES UID/file`` with a line
break in every row; an early release has eleven columns, in another order, and no series. Both are read, and told apart.
The pictures are joined in `microcalc.intake.cbis_ddsm`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from microcalc.errors import TableError
from microcalc.intake.sheets import read_sheet
from microcalc.vocabulary import BENIGN, MALIGNANT, Laterality, Split, View

__all__ = ["CbisCase", "CbisTable", "SeriesRef", "find_cbis_tables", "read_cbis_table", "shared_patients"]

LABELS = {"MALIGNANT": MALIGNANT, "BENIGN": BENIGN, "BENIGN_WITHOUT_CALLBACK": BENIGN}
"""Of each pathology; lesions without callback were benign on the film and not biopsied."""

WITHOUT_CALLBACK = "BENIGN_WITHOUT_CALLBACK"

_SIDES = {"LEFT": Laterality.LEFT, "RIGHT": Laterality.RIGHT}
_PATHS = ("image file path", "cropped image file path", "ROI mask file path")
_ALWAYS = (
    "patient_id", "left or right breast", "image view", "abnormality id", "abnormality type", "assessment", "pathology",
)  # fmt: skip
_SETS = {"Training": Split.TRAIN, "Test": Split.TEST}
_PARTS_OF_PATH = 4


@dataclass(frozen=True)
class SeriesRef:
    """A series as the tables name it: Patient ID, Study Instance UID and Series Instance UID of its header."""

    patient: str
    study: str
    series: str


@dataclass(frozen=True)
class CbisCase:
    """One lesion in one picture.

    Attributes:
        row: of the table, the header being row 1.
        patient: ``P_00005``.
        side: of the breast.
        view: CC or MLO.
        number: of the lesion in its breast.
        kind: ``calcification`` or ``mass``.
        morphology, distribution: of calcifications, as written; of masses shape and margins.
        assessment: BI-RADS, 0 to 5.
        pathology: one of `LABELS`.
        density: BI-RADS, 1 to 4; 0 stands in two rows.
        image, crop, mask: series of the whole mammogram, the cut-out and the mask; None in the early release.
    """

    row: int
    patient: str
    side: Laterality
    view: View
    number: int
    kind: str
    morphology: str
    distribution: str
    assessment: str
    pathology: str
    density: str
    image: SeriesRef | None = None
    crop: SeriesRef | None = None
    mask: SeriesRef | None = None

    @property
    def label(self) -> int:
        """0 benign, 1 malignant."""
        return LABELS[self.pathology]

    @property
    def lesion(self) -> str:
        """Lesion within the patient: the same in both views."""
        return f"{self.side}{self.number}"


@dataclass(frozen=True)
class CbisTable:
    """One description table.

    Attributes:
        path: of the file.
        kind: ``calcification`` or ``mass``.
        split: train or test.
        cases: in the order of the rows.
        early: the early release, which names no series.
        broken_lines: rows with a line break in a cell.
    """

    path: Path
    kind: str
    split: Split
    cases: tuple[CbisCase, ...]
    early: bool
    broken_lines: int

    @property
    def patients(self) -> set[str]:
        """Patients of all rows."""
        return {case.patient for case in self.cases}

    def by_pathology(self) -> Counter[str]:
        """Rows of each pathology."""
        return Counter(case.pathology for case in self.cases)

    def patients_of_two_kinds(self) -> set[str]:
        """Patients with lesions of more than one pathology."""
        found: dict[str, set[str]] = {}
        for case in self.cases:
            found.setdefault(case.patient, set()).add(case.pathology)
        return {patient for patient, pathologies in found.items() if len(pathologies) > 1}


def find_cbis_tables(folder: Path) -> list[CbisTable]:
    """Every description table below a folder, known by its header.

    Raises:
        TableError: a table with that header cannot be read.
    """
    paths = [path for path in sorted(folder.rglob("*.csv")) if path.is_file() and _is_description(path)]
    return [read_cbis_table(path) for path in paths]


def read_cbis_table(path: Path) -> CbisTable:
    """Read one description table, of either release.

    Raises:
        TableError: it lacks a column, or a row holds a word that the tables do not have.
    """
    table = read_sheet(path)
    missing = [name for name in _ALWAYS if name not in table.columns]
    if missing:
        raise TableError(f"{path}: a description table of CBIS-DDSM must have the columns {_ALWAYS}; {missing} missing")
    given = [name for name in _PATHS if name in table.columns]
    if given and len(given) < len(_PATHS):
        raise TableError(
            f"{path}: a description table has all of {_PATHS} or, in the early release, none; it has {given}"
        )
    records = [{str(k): str(v) for k, v in record.items()} for record in table.to_dict(orient="records")]
    cases = tuple(_case(record, number, path) for number, record in enumerate(records, start=2))
    kinds = {case.kind for case in cases}
    if len(kinds) != 1:
        raise TableError(f"{path}: a description table is of calcifications or of masses; it has {sorted(kinds)}")
    raw = path.read_bytes()
    broken = raw.count(b"\n") - raw.count(b"\r\n") if b"\r\n" in raw else 0
    return CbisTable(path, kinds.pop(), _split(cases, path), cases, not given, broken)


def shared_patients(one: Iterable[CbisTable], other: Iterable[CbisTable]) -> set[str]:
    """Patients that stand in both groups of tables."""
    left: set[str] = set().union(*(table.patients for table in one))
    return left & set().union(*(table.patients for table in other))


def _case(record: dict[str, str], row: int, path: Path) -> CbisCase:
    try:
        pathology = record["pathology"]
        if pathology not in LABELS:
            raise KeyError(pathology)
        image, crop, mask = (_series(record[name]) if name in record else None for name in _PATHS)
        return CbisCase(
            row=row,
            patient=record["patient_id"],
            side=_SIDES[record["left or right breast"]],
            view=View(record["image view"]),
            number=int(record["abnormality id"]),
            kind=record["abnormality type"],
            morphology=record.get("calc type", record.get("mass shape", "")),
            distribution=record.get("calc distribution", record.get("mass margins", "")),
            assessment=record["assessment"],
            pathology=pathology,
            density=record.get("breast density", record.get("breast_density", "")),
            image=image,
            crop=crop,
            mask=mask,
        )
    except (KeyError, ValueError) as error:
        raise TableError(f"{path}, row {row}: a word that the tables of CBIS-DDSM do not have: {error}") from error


def _series(text: str) -> SeriesRef:
    parts = text.strip().split("/")
    if len(parts) != _PARTS_OF_PATH:
        raise ValueError(f"path {text.strip()!r}, which must be PATIENT/STUDY/SERIES/file")
    return SeriesRef(*parts[:3])


def _split(cases: Sequence[CbisCase], path: Path) -> Split:
    """The set, from the names of the pictures; in the early release from the name of the file."""
    named = {case.image.patient.split("_")[0].split("-")[-1] for case in cases if case.image is not None}
    if not named:
        words = path.name.casefold()
        named = {"Test"} if "test" in words else {"Training"} if "train" in words else set()
    if len(named) != 1 or not named <= set(_SETS):
        raise TableError(f"{path}: a description table is of the training or of the test set; it says {sorted(named)}")
    return _SETS[named.pop()]


def _is_description(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    return "abnormality id" in header and "pathology" in header
