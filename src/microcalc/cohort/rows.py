"""What one row of a cohort table may hold: the columns of the contract, their words, numbers and rules.

Here a raw table becomes a typed one, and every row that breaks a rule becomes a `RowProblem`. One set of rules serves
reading, writing, intake and audit. Folders, images and splits live elsewhere.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microcalc.cohort.cells import cell_text
from microcalc.errors import TableError
from microcalc.vocabulary import (
    BENIGN,
    MALIGNANT,
    CalcDistribution,
    CalcMorphology,
    Laterality,
    Pathology,
    Split,
    TypicallyBenign,
    View,
)

__all__ = [
    "CALC_WORDS",
    "COLUMNS",
    "NUMBER_COLUMNS",
    "REQUIRED",
    "TEXT_COLUMNS",
    "UNKNOWN_LABEL",
    "CheckedRows",
    "RowProblem",
    "check_rows",
    "describe_problems",
    "is_image_id",
    "label_of",
    "validate_table",
]

COLUMNS = (
    "image_id",
    "patient_id",
    "lesion_id",
    "exam_date",
    "laterality",
    "view",
    "magnification",
    "pixel_spacing_mm",
    "pathology",
    "label",
    "birads",
    "morphology",
    "distribution",
    "site",
    "manufacturer",
    "source_uid",
    "roi_row",
    "roi_col",
    "padded",
    "split",
)
"""Columns of cohort.csv, in order."""

REQUIRED = ("image_id", "patient_id", "label")
"""Columns that a table needs; ``pathology`` can stand in for ``label``. The others may be absent or empty."""

NUMBER_COLUMNS = ("magnification", "pixel_spacing_mm", "roi_row", "roi_col")
"""Columns of float64, NaN where empty: factor, millimetres, pixels, pixels."""

TEXT_COLUMNS = tuple(c for c in COLUMNS if c not in (*NUMBER_COLUMNS, "label"))
"""Columns of text, "" where empty."""

CALC_WORDS: Mapping[str, frozenset[str]] = {
    "morphology": frozenset(word.value for words in (CalcMorphology, TypicallyBenign) for word in words),
    "distribution": frozenset(word.value for word in CalcDistribution),
}
"""Columns in the words of BI-RADS. Other words are allowed; as free text they may tell who a patient is."""

_POSITIVE = ("magnification", "pixel_spacing_mm")
_LABEL_WORDS = {"0": BENIGN, "0.0": BENIGN, "benign": BENIGN, "1": MALIGNANT, "1.0": MALIGNANT, "malignant": MALIGNANT}
_TRUTH_WORDS = {"": "", "true": "true", "1": "true", "yes": "true", "false": "false", "0": "false", "no": "false"}
_LABELS_OF_PATHOLOGY = {p.value: p.label for p in Pathology}

UNKNOWN_LABEL = -1
"""Stands for the label of a row that has none."""

MAX_ID_LENGTH = 128
"""Characters of an image_id at most; it is also a file name."""

_IMAGE_ID = re.compile(rf"(?!(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$))\w(?:[\w.-]{{0,{MAX_ID_LENGTH - 2}}}[\w-])?", re.I)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}")

MAX_PROBLEMS_SHOWN = 20
"""Problems that an error message spells out; the other rows are named by their lines."""


@dataclass(frozen=True)
class RowProblem:
    """One broken rule in one row.

    Attributes:
        position: 0-based row of the table.
        line: 1-based line of the file, the header being line 1.
        image_id: as far as it is known.
        code: short name of the rule.
        message: the rule and what was found instead.
    """

    position: int
    line: int
    image_id: str
    code: str
    message: str


@dataclass(frozen=True)
class CheckedRows:
    """A typed copy of a table (all ``COLUMNS``) and what is wrong with it; rows with a problem hold stand-in values."""

    table: pd.DataFrame
    problems: tuple[RowProblem, ...]


def validate_table(table: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """Typed, normalised copy of a cohort table with all ``COLUMNS`` in order and a new index 0, 1, ...

    Texts are stripped, words have the contract's spelling, ``exam_date`` is ISO, ``label`` is int64 (derived from
    ``pathology`` where it is empty), ``NUMBER_COLUMNS`` are float64. Other columns are left out.

    Args:
        table: cells as text or as typed values; row i is taken to be line i + 2 of the file.
        source: name of the file, for error messages.

    Raises:
        TableError: no rows, a needed column is missing, or rows break a rule; names the file and the lines.
    """
    checked = check_rows(table, source=source)
    if checked.problems:
        raise TableError(describe_problems(checked.problems, source=source))
    return checked.table


def check_rows(table: pd.DataFrame, *, source: str, lines: NDArray[np.int64] | None = None) -> CheckedRows:
    """Type and normalise a table and collect every row that breaks a rule.

    Args:
        table: cells as text or as typed values.
        source: name of the file, for error messages.
        lines: (n,) line of each row in the file; default 2, 3, ...

    Raises:
        TableError: no rows, or a needed column is missing.
    """
    needed = [c for c in REQUIRED if c not in table.columns and not (c == "label" and "pathology" in table.columns)]
    if needed:
        raise TableError(
            f"{source}: a cohort table needs the columns image_id, patient_id and label (or pathology); "
            f"{needed} missing, found {list(table.columns)}"
        )
    if table.empty:
        raise TableError(f"{source}: a cohort table must hold at least one row; it holds none")
    return _RowChecker(table, np.arange(2, len(table) + 2) if lines is None else lines).check()


def is_image_id(text: str) -> bool:
    """Whether a text may be an image_id: a file name that is safe on every system."""
    return _IMAGE_ID.fullmatch(text) is not None


def label_of(label: object, pathology: object = None) -> int:
    """Label 0 or 1 of one row: as given, else as its pathology says; ``UNKNOWN_LABEL`` where neither says it."""
    known = _LABEL_WORDS.get(cell_text(label).lower(), UNKNOWN_LABEL)
    return (
        _LABELS_OF_PATHOLOGY.get(_snake_case(cell_text(pathology)), UNKNOWN_LABEL) if known == UNKNOWN_LABEL else known
    )


def describe_problems(problems: Sequence[RowProblem], *, source: str, shown: int = MAX_PROBLEMS_SHOWN) -> str:
    """Text that names the file and every bad line: the first problems in words, the others by their lines."""
    ordered = sorted(problems, key=lambda p: (p.line, p.code))
    if len(ordered) == 1:
        return f"{source}, line {ordered[0].line}: {ordered[0].message}"
    texts = [f"  line {p.line}: {p.message}" for p in ordered[:shown]]
    rest = sorted({p.line for p in ordered[shown:]})
    if rest:
        texts.append(f"  and {len(ordered) - shown} more, in lines {_ranges(rest)}")
    bad = len({p.line for p in ordered})
    return f"{source}: {bad} {'row breaks' if bad == 1 else 'rows break'} the contract:\n" + "\n".join(texts)


def _ranges(numbers: list[int]) -> str:
    """Ascending whole numbers as "3, 5-9, 12"."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = np.split(np.asarray(numbers), breaks)
    return ", ".join(f"{r[0]}" if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


class _RowChecker:
    """One pass over the columns of a table; keeps the problems that it meets."""

    def __init__(self, raw: pd.DataFrame, lines: NDArray[np.int64]) -> None:
        self._lines = lines
        self._size = len(raw)
        self._texts = {c: self._column(raw, c) for c in COLUMNS}
        self._problems: list[RowProblem] = []

    def _column(self, raw: pd.DataFrame, name: str) -> NDArray[np.object_]:
        out = np.full(self._size, "", dtype=object)
        if name in raw.columns:
            out[:] = [cell_text(v) for v in raw[name].astype(object)]
        return out

    def check(self) -> CheckedRows:
        """Every rule, column by column."""
        out: dict[str, pd.Series] = {}
        self._control_characters()
        self._identifiers()
        self._words("laterality", str.upper, [w.value for w in Laterality])
        self._words("view", str.upper, [w.value for w in View])
        self._words("pathology", _snake_case, [w.value for w in Pathology])
        self._words("split", str.lower, [w.value for w in Split])
        self._padded()
        self._dates()
        labels = self._labels()
        for column in COLUMNS:
            if column == "label":
                out[column] = pd.Series(labels, dtype=np.int64)
            elif column in NUMBER_COLUMNS:
                out[column] = pd.Series(self._numbers(column), dtype=np.float64)
            else:
                out[column] = pd.Series(self._texts[column], dtype=str)
        ordered = sorted(self._problems, key=lambda p: p.position)
        return CheckedRows(pd.DataFrame(out), tuple(ordered))

    def _refuse(self, bad: NDArray[np.bool_], code: str, message: Callable[[int], str]) -> None:
        for position in np.flatnonzero(bad).tolist():
            line, name = int(self._lines[position]), str(self._texts["image_id"][position])
            self._problems.append(RowProblem(position, line, name, code, message(position)))

    def _found(self, column: str, rule: str) -> Callable[[int], str]:
        values = self._texts[column].copy()
        return lambda position: f"{rule}; found {values[position]!r}"

    def _matches(self, column: str, test: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Test each different value once: tables repeat their words."""
        codes, values = pd.factorize(self._texts[column])
        return np.asarray([test(str(v)) for v in values], dtype=bool)[codes]

    def _control_characters(self) -> None:
        for column in TEXT_COLUMNS:
            bad = self._matches(column, lambda v: _CONTROL.search(v) is not None)
            self._refuse(bad, "control-character", self._found(column, f"{column} must be one line of plain text"))

    def _identifiers(self) -> None:
        ids, patients = self._texts["image_id"], self._texts["patient_id"]
        rule = (
            f"image_id must be a safe file name: at most {MAX_ID_LENGTH} letters, digits and _ - ., beginning with a "
            "letter or digit"
        )
        self._refuse(
            ~self._matches("image_id", is_image_id),
            "image-id",
            self._found("image_id", rule),
        )
        self._refuse(patients == "", "patient-id", lambda _: "patient_id must not be empty")
        # Some file systems keep names regardless of case, so A.png and a.png would be one file there.
        folded = pd.Series([v.casefold() for v in ids], dtype=object)
        again = folded.duplicated().to_numpy() & (ids != "")
        first = {name: position for position, name in reversed(list(enumerate(folded)))} if again.any() else {}

        def clash(i: int) -> str:
            other = first[folded[i]]
            also = "" if ids[i] == ids[other] else f", and {ids[i]!r} differs in upper and lower case only"
            return f"image_id must be unique; {ids[other]!r} stands in line {self._lines[other]} already{also}"

        self._refuse(again, "duplicate-id", clash)

    def _words(self, column: str, spelling: Callable[[str], str], words: list[str]) -> None:
        known = {"", *words}
        found = self._found(column, f"{column} must be one of {', '.join(words)}, or empty")  # as it was written
        self._map(column, spelling)
        self._refuse(~self._matches(column, known.__contains__), column.replace("_", "-"), found)

    def _map(self, column: str, function: Callable[[str], str]) -> None:
        codes, values = pd.factorize(self._texts[column])
        self._texts[column] = np.asarray([function(str(v)) for v in values], dtype=object)[codes]

    def _padded(self) -> None:
        bad = ~self._matches("padded", lambda v: v.lower() in _TRUTH_WORDS)
        self._refuse(bad, "padded", self._found("padded", "padded must be true or false, or empty"))
        self._map("padded", lambda v: _TRUTH_WORDS.get(v.lower(), ""))

    def _dates(self) -> None:
        iso = {str(v): _iso_date(str(v)) for v in pd.unique(self._texts["exam_date"])}
        bad = ~self._matches("exam_date", lambda v: iso[v] is not None)
        rule = "exam_date must be a day of the calendar as YYYY-MM-DD, or empty"
        self._refuse(bad, "exam-date", self._found("exam_date", rule))
        self._map("exam_date", lambda v: iso[v] or "")

    def _numbers(self, column: str) -> NDArray[np.float64]:
        texts = self._texts[column]
        numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
        bad = (texts != "") & ~np.isfinite(numbers)
        rule = f"{column} must be a number, or empty"
        if column in _POSITIVE:
            bad |= numbers <= 0
            rule = f"{column} must be a number above 0, or empty"
        self._refuse(bad, column.replace("_", "-"), self._found(column, rule))
        return numbers

    def _labels(self) -> NDArray[np.int64]:
        texts, pathology = self._texts["label"], self._texts["pathology"]
        known = np.asarray([_LABEL_WORDS.get(str(v).lower(), UNKNOWN_LABEL) for v in texts], dtype=np.int64)
        rule = "label must be 0 (benign) or 1 (malignant)"
        self._refuse((texts != "") & (known == UNKNOWN_LABEL), "label", self._found("label", rule))
        derived = np.asarray([_LABELS_OF_PATHOLOGY.get(str(v), UNKNOWN_LABEL) for v in pathology], dtype=np.int64)
        self._refuse(
            (texts == "") & (pathology == ""), "label", lambda _: f"{rule}, or pathology be given; both are empty"
        )
        contradiction = (known != UNKNOWN_LABEL) & (derived != UNKNOWN_LABEL) & (known != derived)
        self._refuse(
            contradiction,
            "label-pathology",
            lambda i: f"label must agree with pathology; found label {known[i]} and pathology {pathology[i]!r}",
        )
        return np.where(known == UNKNOWN_LABEL, derived, known)


def _snake_case(word: str) -> str:
    return re.sub(r"[\s-]+", "_", word.lower())


def _iso_date(text: str) -> str | None:
    """ISO form of YYYY-MM-DD or of DICOM's YYYYMMDD; None when it is no such day."""
    if text == "":
        return ""
    if not _DATE.fullmatch(text):
        return None
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        return None
