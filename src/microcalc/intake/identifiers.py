"""Every text of a source that must not show through in a cohort: of DICOM files, tables and file names.

Texts of every value representation are collected, from nested sequences and private elements too. A few are left
aside, each kind with a count, because they say nothing of a person or are carried by the cohort on purpose. Where they
are looked for is the business of `microcalc.cohort.search`.
"""

import csv
import re
import unicodedata
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from microcalc.cohort.cells import cell_text
from microcalc.cohort.search import WantedText
from microcalc.errors import InputError, MissingDependencyError, TableError
from microcalc.intake.descriptors import PARTS_OF_WORDS
from microcalc.intake.sheets import workbook_rows
from microcalc.vocabulary import CalcDistribution, CalcMorphology, Laterality, Pathology, TypicallyBenign, View

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["CARRIED_ELEMENTS", "SourceTexts", "collect_texts"]

CARRIED_ELEMENTS = frozenset(
    (
        0x00080008,  # Image Type
        0x00080060,  # Modality
        0x00080068,  # Presentation Intent Type
        0x00080070,  # Manufacturer
        0x00081090,  # Manufacturer's Model Name
        0x00080005,  # Specific Character Set
        0x00180015,  # Body Part Examined
        0x00181110,  # Distance Source to Detector
        0x00181111,  # Distance Source to Patient
        0x00181114,  # Estimated Radiographic Magnification Factor
        0x00181164,  # Imager Pixel Spacing
        0x00185101,  # View Position
        0x00187022,  # Detector Element Spacing
        0x00200060,  # Laterality
        0x00200062,  # Image Laterality
        0x00200020,  # Patient Orientation
        0x00280004,  # Photometric Interpretation
        0x00280030,  # Pixel Spacing
        0x00280A02,  # Pixel Spacing Calibration Type
        0x00281050,  # Window Center
        0x00281051,  # Window Width
        0x00281052,  # Rescale Intercept
        0x00281053,  # Rescale Slope
        0x00281054,  # Rescale Type
        0x00281056,  # VOI LUT Function
        0x20500020,  # Presentation LUT Shape
    )
)
"""Elements whose values stand in a cohort on purpose, or are the technique of every image of a device."""

_DEVICE = frozenset((0x00080070, 0x00081090))
"""Manufacturer and model: texts that a spreadsheet and private elements repeat."""

_CODES = frozenset((0x00080100, 0x00080102, 0x00080104))
"""Value, scheme and meaning of a coded term."""

_CODED_SEQUENCES = frozenset((0x00540220, 0x00540222, 0x00082218, 0x00182254))
"""View, view modifier and anatomic region: their codes are DICOM's own words."""

_TEXT_VRS = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)
_MAX_BYTES = 1 << 20
"""So much of a binary element is looked through for texts."""

_PIXEL_DATA = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_PRINTABLE = re.compile(rb"[\x20-\x7e\x80-\xff]{4,}")
_DEFER = 1 << 16
_DAMAGE = (OSError, ValueError, EOFError, KeyError, AttributeError, NotImplementedError, TypeError, IndexError)
"""What pydicom raises on files and values that are damaged."""

_STANDARD_UID = "1.2.840.10008."
_SHORTEST, _FEWEST_DIGITS = 4, 5
_WORDS = frozenset(
    (
        *("breast", "breasts", "mammo", "mammogram", "mammograms", "mammography", "mammographic", "calcifications"),
        *("calcification", "lesion", "image", "images", "left", "right", "benign", "malignant", "screening"),
        *("diagnostic", "digital", "digitized", "film", "standard", "conventional", "original", "primary", "derived"),
        *("secondary", "none", "null", "true", "false", "unknown", "other", "anonymous", "anonymized", "anonymised"),
        *("deidentified", "male", "female", "patient", "patients", "cohort", "label", "train", "training", "test"),
        *(
            "validation",
            "dicom",
            "data",
            "dataset",
            "export",
            "files",
            "folder",
            "folders",
            "table",
            "labels",
            "results",
        ),
        *("source", "sources", "series", "study", "studies", "exam", "exams", "report", "reports", "pathology"),
    )
) | {
    str(word).casefold().replace("_", " ")
    for words in (Laterality, View, Pathology, CalcMorphology, CalcDistribution, TypicallyBenign)
    for word in words
}
"""Words that every study holds; a value that is one of them names nobody."""

_TABLES, _WORKBOOKS = (".csv", ".tsv", ".txt"), (".xlsx", ".xlsm")
_MAX_TABLE = 1 << 28

_SHORT = f"shorter than {_SHORTEST} characters, or numbers of fewer than {_FEWEST_DIGITS} digits"
_CARRIED = "elements that the cohort carries on purpose, such as manufacturer, view and spacing"
_COMMON = "words that every study holds"
_STANDARD = "UIDs that DICOM itself defines"
_UNREAD = "files that are neither DICOM nor a table (their names were looked for)"


@dataclass(frozen=True)
class SourceTexts:
    """What must not show through.

    Attributes:
        wanted: the texts, each once for each kind of place where it stands.
        skipped: how many were left aside, by reason.
        files: that were read.
    """

    wanted: tuple[WantedText, ...]
    skipped: dict[str, int]
    files: int


def collect_texts(sources: Sequence[Path]) -> SourceTexts:
    """Read every file of the sources and collect what must not show through in a cohort made of them.

    Args:
        sources: folders (read with all that is in them) and files: DICOM, CSV, XLSX.

    Raises:
        InputError: a source is missing.
        MissingDependencyError: pydicom is not installed.
    """
    collector = _Collector()
    for source in sources:
        if not source.exists():
            raise InputError(f"{source}: a source must be a file or a folder; there is none. Name it as it is now")
        for path in sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]:
            inside = path.relative_to(source.parent if source.is_dir() else path.parent)
            collector.add_file(path, inside)
    return SourceTexts(collector.result(), dict(collector.skipped), collector.files)


class _Collector:
    """Texts so far, each once for each origin."""

    def __init__(self) -> None:
        self.wanted: dict[tuple[str, str], WantedText] = {}
        self.skipped: Counter[str] = Counter()
        self.files = 0
        self._devices: set[str] = set()

    def add_file(self, path: Path, inside: Path) -> None:
        """Everything that a file and its name say."""
        for part in (*inside.parts[1:-1], inside.stem) if len(inside.parts) > 1 else (inside.stem,):
            self._add(part, "the name of a file or folder")
        self.files += 1
        dataset = _dicom(path)
        if dataset is not None:
            self._add_dataset(dataset)
        elif path.suffix.casefold() in (*_TABLES, *_WORKBOOKS):
            self._add_table(path)
        else:
            self.skipped[_UNREAD] += 1

    def result(self) -> tuple[WantedText, ...]:
        """What was collected, but for makers and models, which the cohort carries; a person of that name stays."""
        wanted = tuple(
            text for text in self.wanted.values() if text.is_name or text.text.casefold() not in self._devices
        )
        if len(wanted) < len(self.wanted):
            self.skipped[_CARRIED] += len(self.wanted) - len(wanted)
        return wanted

    def _add_dataset(self, dataset: "Dataset") -> None:
        for preamble in _PRINTABLE.findall(dataset.preamble or b""):
            self._add(preamble.decode("latin-1"), "the preamble of a DICOM file")
        for field in (*_fields(dataset.file_meta), *_fields(dataset)):
            if field.tag in CARRIED_ELEMENTS or (field.coded and field.tag in _CODES):
                self.skipped[_CARRIED] += 1
                if field.tag in _DEVICE:
                    self._devices |= {text.strip().casefold() for text in _texts(field)}
                continue
            for text in _texts(field):
                self._add(text, field.name, is_date=field.vr in ("DA", "DT"), is_name=field.vr == "PN")

    def _add_table(self, path: Path) -> None:
        for header, *rows in _sheets(path):
            for cell in header:
                if "^" in cell or sum(c.isdecimal() for c in cell) >= _FEWEST_DIGITS:  # a table without column names
                    self._add(cell, "the first line of a table", is_date=True, is_name=True)
            for row in rows:
                for name, cell in zip_longest(header, row, fillvalue=""):
                    if name.casefold() == "manufacturer" and cell:  # the cohort's own column: carried on purpose
                        self.skipped[_CARRIED] += 1
                        self._devices.add(cell.strip().casefold())
                        continue
                    person = "name" in name.casefold() or "^" in cell
                    self._add(cell, f"column {name or '(without a name)'}", is_date=True, is_name=person)

    def _add(self, text: str, origin: str, *, is_date: bool = False, is_name: bool = False) -> None:
        text = unicodedata.normalize("NFC", text.strip().strip("\0").strip())
        if not text:
            return
        reason = _reason_to_skip(text)
        if reason:
            self.skipped[reason] += 1
            return
        self.wanted.setdefault((text, origin), WantedText(text, origin, is_date, is_name))
        if is_name:
            for part in re.split(r"[\^=,\s]+", text):
                if part and not _reason_to_skip(part):
                    self.wanted.setdefault((part, origin), WantedText(part, origin, is_name=True))


def _reason_to_skip(text: str) -> str:
    if text.startswith(_STANDARD_UID):
        return _STANDARD
    digits = sum(c.isdecimal() for c in text)
    if len(text.encode("utf-8", "replace")) < _SHORTEST or (
        digits < _FEWEST_DIGITS and re.fullmatch(r"[-+]?[\d.,:/ ]+(?:e[-+]?\d+)?", text, re.I)
    ):
        return _SHORT
    words = text.casefold().replace("_", " ")
    return _COMMON if words in _WORDS or words in PARTS_OF_WORDS else ""


# ---------------------------------------------------------------------------------------------- DICOM


@dataclass(frozen=True)
class _Field:
    """One element: its tag, how it is called in a message, its value representation and value."""

    tag: int
    name: str
    vr: str
    value: object
    coded: bool


def _dicom(path: Path) -> "Dataset | None":
    """All but the pixels of a DICOM file; None where it is none, or too damaged to be read at all."""
    try:
        import pydicom  # noqa: PLC0415  (an optional package)
        from pydicom.errors import InvalidDicomError  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependencyError(
            "to read a DICOM source the package pydicom must be installed: pip install 'microcalc[dicom]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return pydicom.dcmread(path, defer_size=_DEFER)
            except InvalidDicomError:  # without a preamble; any file can be read so, hence the question what it holds
                dataset = pydicom.dcmread(path, defer_size=_DEFER, force=True)
                return dataset if any(name in dataset for name in ("SOPClassUID", "SOPInstanceUID")) else None
    except _DAMAGE:
        return None


def _fields(dataset: "Dataset", *, coded: bool = False) -> Iterator[_Field]:
    """Every element with its nested ones, and whether it stands in a sequence of DICOM's own codes."""
    for tag in sorted(dataset.keys()):
        if tag in _PIXEL_DATA:
            continue
        name = f"private element {tag}" if tag.is_private else f"element {tag}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                element = dataset[tag]
                value = element.value
        except _DAMAGE:  # a value that contradicts its representation: its bytes are looked through
            yield _Field(tag, name, "UN", dataset.get_item(tag).value, coded)
            continue
        if element.VR == "SQ":
            for item in value:
                yield from _fields(item, coded=coded or tag in _CODED_SEQUENCES)
        else:
            yield _Field(tag, name if tag.is_private else f"{element.name} {tag}", element.VR, value, coded)


def _texts(field: _Field) -> Iterable[str]:
    value = field.value
    if isinstance(value, bytes):
        return [found.decode("latin-1") for found in _PRINTABLE.findall(value[:_MAX_BYTES])]
    if value is None or field.vr not in _TEXT_VRS:
        return []
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [str(v) for v in values]


# ---------------------------------------------------------------------------------------------- tables


def _sheets(path: Path) -> list[list[list[str]]]:
    """Rows of cells of each sheet, at least one row each; of a text that is no table its lines."""
    if path.suffix.casefold() in _WORKBOOKS:
        return _workbook_sheets(path)
    text = path.read_bytes()[:_MAX_TABLE].decode("utf-8-sig", "replace")
    first = text.partition("\n")[0]
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=max(",;\t", key=first.count)))
    except csv.Error:
        rows = [[line] for line in text.splitlines()]
    return [rows] if rows else []


def _workbook_sheets(path: Path) -> list[list[list[str]]]:
    import openpyxl  # noqa: PLC0415  (a tenth of a second that only workbooks need)

    sheets = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(OSError, KeyError, ValueError, zipfile.BadZipFile):
            book = openpyxl.load_workbook(path, read_only=True)
            names = list(book.sheetnames)
            book.close()
            for name in names:
                with suppress(TableError):  # an empty sheet
                    rows = workbook_rows(path, sheet=name)
                    sheets.append([[cell_text(cell) for cell in row] for row in rows])
    return sheets
