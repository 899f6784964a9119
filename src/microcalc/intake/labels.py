"""Rows of a hospital's spreadsheet, read by a column map: which mammogram, where the lesion lies, what it was.

A row becomes a `LabelRow`: its key to a mammogram, its place, its columns of the contract, the rule that leaves it out,
and what is wrong with it. Problems are said without the cell's content, which may name a patient; words that are not
known stand apart in `LabelRow.unknown`, for the screen only. Files are found in `microcalc.intake.joining`.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pandas as pd

from microcalc.errors import ImageError, TableError
from microcalc.intake.column_fields import FIELDS, PLACE_FIELDS, one_line
from microcalc.intake.column_map import ColumnMap
from microcalc.intake.crop import Box
from microcalc.intake.descriptors import read_distribution, read_morphology
from microcalc.intake.rules import PAPER_REASONS, Rule, UnknownWordError, first_rule, rules_of
from microcalc.intake.sheets import read_sheet
from microcalc.intake.terms import (
    Truth,
    is_empty,
    plain,
    read_birads,
    read_day,
    read_laterality,
    read_sided_view,
    read_truth,
    read_view,
)
from microcalc.vocabulary import Split

__all__ = ["NO_HISTOPATHOLOGY", "Exposure", "ImageKey", "LabelRow", "RowFault", "label_rows", "read_labels"]

NO_HISTOPATHOLOGY = Rule("no_histopathology", PAPER_REASONS["no_histopathology"], "")


class Exposure(StrEnum):
    """How a view was taken, where the cell of the view says so.

    A spot view may be magnified or not, and a magnification view may be a spot view.
    """

    CONTACT = "contact view"
    MAGNIFIED = "magnification"
    SPOT = "spot view"


_EXPOSURES = {
    Exposure.MAGNIFIED: frozenset({"mag", "magnification", "magnified", "m"}),
    Exposure.SPOT: frozenset({"spot", "s"}),
    Exposure.CONTACT: frozenset({"contact", "full", "standard", "routine"}),
}
"""Words beside the view; of several the first counts."""


@dataclass(frozen=True)
class ImageKey:
    """What a row says of its mammogram; "" where it says nothing.

    Attributes:
        sop_uid: SOP Instance UID.
        image_file: path or name.
        accession_number: of the exam.
        patient_id: as in the images.
        exam_date: YYYY-MM-DD.
        laterality: L or R.
        view: View Position.
        exposure: how it was taken; None where the row does not say.
    """

    sop_uid: str = ""
    image_file: str = ""
    accession_number: str = ""
    patient_id: str = ""
    exam_date: str = ""
    laterality: str = ""
    view: str = ""
    exposure: Exposure | None = None

    @property
    def is_enough(self) -> bool:
        """Whether a mammogram can be looked for at all."""
        return bool(self.sop_uid or self.image_file or self.accession_number or (self.patient_id and self.exam_date))


@dataclass(frozen=True)
class RowFault:
    """Why a row cannot be used; the message holds no content of identifying cells."""

    code: str
    message: str


@dataclass(frozen=True)
class LabelRow:
    """One row of a spreadsheet.

    Attributes:
        number: of the row in the spreadsheet, the header being 1.
        key: to its mammogram.
        box: of the lesion; None where a mask tells it, or nothing does.
        mask: file that marks the lesion, as written.
        values: columns of the contract, as far as the row tells them.
        left_out: the rule that leaves it out.
        faults: what is wrong with it.
        unknown: headers and words that are not known.
    """

    number: int
    key: ImageKey
    box: Box | None = None
    mask: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    left_out: Rule | None = None
    faults: tuple[RowFault, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Of the row, for verdicts."""
        return f"row {self.number}"


def read_labels(path: Path, column_map: ColumnMap, *, sheet: str | None = None) -> list[LabelRow]:
    """Read a spreadsheet.

    Args:
        path: CSV (UTF-8) or XLSX.
        column_map: which column holds what.
        sheet: of a workbook; default the first.

    Raises:
        TableError: the file cannot be read, or lacks a column of the map.
    """
    mapped = set(_mapped(column_map).values())
    table = read_sheet(path, sheet=sheet, needed=lambda name: one_line(name) in mapped)
    return label_rows(table, column_map, source=str(path))


def _mapped(column_map: ColumnMap) -> dict[str, str]:
    """Header of each field and rule."""
    return {**column_map.columns, **{code: rule.column for code, rule in column_map.rules.items()}}


def label_rows(table: pd.DataFrame, column_map: ColumnMap, *, source: str) -> list[LabelRow]:
    """Read a table.

    Args:
        table: cells as text; row i of the index stands in row i + 2 of the spreadsheet.
        column_map: which column holds what.
        source: file, for messages.

    Raises:
        TableError: it lacks a column of the map.
    """
    table = table.rename(columns=one_line)
    missing = [f"{header!r} ({name})" for name, header in _mapped(column_map).items() if header not in table.columns]
    if missing:
        raise TableError(
            f"{source}: the columns of the map must stand in the spreadsheet; {', '.join(missing)} missing, "
            f"found {list(table.columns)}"
        )
    rules = rules_of(column_map)
    records = table.to_dict(orient="index")
    return [
        _Reader(int(str(index)) + 2, {str(k): str(v) for k, v in cells.items()}, column_map).read(rules)
        for index, cells in records.items()
    ]


class _Reader:
    """Reads one row and keeps what is wrong with it."""

    def __init__(self, number: int, cells: Mapping[str, str], column_map: ColumnMap) -> None:
        self._number = number
        self._cells = cells
        self._map = column_map
        self._faults: list[RowFault] = []
        self._unknown: list[tuple[str, str]] = []

    def read(self, rules: tuple[Rule, ...]) -> LabelRow:
        key = self._key()
        rule = self._rule(rules)
        truth = self._truth()
        if rule is None and truth is not None and (truth.label is None or not truth.biopsied):
            rule = NO_HISTOPATHOLOGY
        box, mask = self._place()
        values = self._values(key, truth)
        if not key.is_enough and not self._faults:
            self._fault("no-key", "the row must name its mammogram; the columns that could are empty")
        return LabelRow(self._number, key, box, mask, values, rule, tuple(self._faults), tuple(self._unknown))

    def _fault(self, code: str, message: str) -> None:
        self._faults.append(RowFault(code, message))

    def _cell(self, name: str) -> str:
        """A cell by its field, in the meaning that the map gives it."""
        header = self._map.columns.get(name)
        text = self._cells[header].strip() if header is not None else ""
        meanings = self._map.words.get(name)
        if meanings:
            known = {plain(word) or word: meaning for word, meaning in meanings.items()}
            return known.get(plain(text) or text, text)
        return text

    def _read(self, name: str, reader: Callable[[str], str | None]) -> str:
        text = self._cell(name)
        value = reader(text)
        if value is None:
            header = self._map.columns[name]
            self._unknown.append((header, text))
            self._fault("unknown-word", f"column {header!r} must hold {FIELDS[name].meaning}; its word is not known")
            return ""
        return value

    def _key(self) -> ImageKey:
        words = set(plain(self._cell("view")).split())
        exposure = next((exposure for exposure, own in _EXPOSURES.items() if words & own), None)
        return ImageKey(
            sop_uid=_named(self._cell("sop_uid")),
            image_file=_named(self._cell("image_file")),
            accession_number=_named(self._cell("accession_number")),
            patient_id=_named(self._cell("patient_id")),
            exam_date=self._read("exam_date", read_day),
            laterality=self._side(),
            view=self._read("view", read_view),
            exposure=exposure,
        )

    def _side(self) -> str:
        """Side by its own column or by the letter before the view ("LMLO"), which must not say two."""
        side = self._read("laterality", read_laterality)
        in_view, _ = read_sided_view(self._cell("view")) or ("", "")
        if side and in_view and side != in_view:
            headers = [self._map.columns[name] for name in ("laterality", "view")]
            self._fault("left-and-right", f"{_columns_named(headers)} must name one side; they name two")
        return side or in_view

    def _rule(self, rules: tuple[Rule, ...]) -> Rule | None:
        try:
            return first_rule(rules, self._cells)
        except UnknownWordError as error:
            header, word = error.args
            self._unknown.append((header, word))
            self._fault(
                "unknown-word",
                f"column {header!r} must say yes or no; its word is not known (rules: yes: [...], no: [...])",
            )
            return None

    def _truth(self) -> Truth | None:
        known = {name: self._cell(name) for name in ("pathology", "label") if not is_empty(self._cell(name))}
        read = {name: read_truth(text) for name, text in known.items()}
        for name, truth in read.items():
            if truth is None:
                self._read(name, lambda _: None)
        found = [truth for truth in read.values() if truth is not None and truth.label is not None]
        if None in read.values():
            return None
        if len({truth.label for truth in found}) > 1:
            self._fault("label-pathology", "label and pathology must agree; they contradict each other")
            return None
        return found[0] if found else Truth("", None, False)

    def _place(self) -> tuple[Box | None, str]:
        for fields in PLACE_FIELDS:
            texts = [self._cell(name) for name in fields]
            filled = [not is_empty(text) for text in texts]
            if all(filled) and fields == ("mask_file",):
                return None, texts[0]
            if all(filled):
                return self._box(fields, texts), ""
        self._fault(
            "no-place",
            "the row must say where the lesion lies: a point (roi_row, roi_col), a box (box_top, box_left, and "
            "box_bottom, box_right or box_width, box_height) or a mask_file; it has none",
        )
        return None, ""

    def _box(self, fields: tuple[str, ...], texts: list[str]) -> Box | None:
        numbers = dict(zip(fields, map(_number, texts), strict=True))
        wordy = [self._map.columns[name] for name, number in numbers.items() if not math.isfinite(number)]
        if wordy:
            self._fault("bad-place", f"{_columns_named(wordy)} must hold a number like 716 or 716.5; the cell is none")
            return None
        try:
            if "roi_row" in numbers:
                return Box.around(numbers["roi_row"], numbers["roi_col"])
            top, left = numbers["box_top"], numbers["box_left"]
            if "box_width" in numbers:
                return Box(top, left, top + numbers["box_height"] - 1, left + numbers["box_width"] - 1)
            return Box(top, left, numbers["box_bottom"], numbers["box_right"])
        except ImageError as error:
            self._fault("bad-place", str(error))
            return None

    def _values(self, key: ImageKey, truth: Truth | None) -> dict[str, str]:
        split = self._read("split", _split)
        values = {
            "lesion_id": _named(self._cell("lesion_id")),
            "exam_date": key.exam_date,
            "laterality": key.laterality,
            "view": key.view,
            "birads": self._read("birads", read_birads),
            "morphology": read_morphology(self._cell("morphology")),
            "distribution": read_distribution(self._cell("distribution")),
            "site": _named(self._cell("site")),
            "split": split,
        }
        if truth is not None and truth.label is not None:
            values |= {"pathology": truth.pathology, "label": str(truth.label)}
        return {name: value for name, value in values.items() if value}


_DECIMAL_COMMA = re.compile(r"^(-?\d+),(\d{1,2})$")


def _named(text: str) -> str:
    return "" if is_empty(text) else text


def _split(text: str) -> str | None:
    words = plain(text)
    known = {"training": Split.TRAIN.value, "val": Split.VALIDATION.value, "valid": Split.VALIDATION.value}
    word = known.get(words, words)
    return word if word in ("", *Split) else None


def _columns_named(headers: list[str]) -> str:
    return f"column{'' if len(headers) == 1 else 's'} {', '.join(map(repr, headers))}"


def _number(text: str) -> float:
    """A number, NaN for what is none; 716,5 is read too, but 1,234 is 1234 here and 1.234 there."""
    try:
        return float(_DECIMAL_COMMA.sub(r"\1.\2", text))
    except ValueError:
        return math.nan
