"""Cells of a workbook that look empty in the file though a person sees a value: merged ones, and formulas.

Read as empty they would say no to a rule, or that there is no histopathology.
"""

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from microcalc.cohort.cells import cell_text
from microcalc.errors import TableError

__all__ = ["HiddenCells", "as_seen", "find_hidden"]

_MAY_HIDE = re.compile(rb"<(?:\w+:)?(?:f|mergeCell)[\s/>]")
_SHOWN = 5


@dataclass(frozen=True)
class HiddenCells:
    """What a sheet hides.

    Attributes:
        merged: ranges like D5:D6; the value stands in the first cell only.
        uncalculated: cells with a formula and no value.
    """

    merged: tuple[str, ...] = ()
    uncalculated: tuple[str, ...] = ()


def find_hidden(path: Path, part: str) -> HiddenCells:
    """Look a sheet through.

    Args:
        path: XLSX.
        part: of the archive, that holds the sheet.
    """
    from openpyxl.xml.functions import iterparse  # noqa: PLC0415  (a tenth of a second that only workbooks need)

    with zipfile.ZipFile(path) as archive:
        content = archive.read(part)
    if not _MAY_HIDE.search(content):
        return HiddenCells()
    merged, uncalculated = [], []
    for _, element in iterparse(io.BytesIO(content)):
        tag = element.tag.rpartition("}")[2]
        if tag == "mergeCell":
            merged.append(element.get("ref", ""))
        elif tag == "c" and _is_uncalculated(element.get("t", ""), {e.tag.rpartition("}")[2]: e.text for e in element}):
            uncalculated.append(element.get("r", "?"))
        elif tag == "row":
            element.clear()
    return HiddenCells(tuple(merged), tuple(uncalculated))


def _is_uncalculated(kind: str, parts: dict[str, str | None]) -> bool:
    """A formula whose value is the empty text has been calculated: it is of the kind "str"."""
    return "f" in parts and not parts.get("v") and kind != "str"


def as_seen(
    rows: Sequence[tuple[object, ...]], hidden: HiddenCells, *, source: str, needed: Callable[[str], bool] | None = None
) -> list[tuple[object, ...]]:
    """Rows with the value of a merged cell in each of its rows that holds something else too.

    People merge a cell down to the end of the page: the empty lines below a table are no rows of it. What stands beside
    the table, and lines of text above or below it, hide nothing.

    Args:
        rows: of the sheet, from its first, which names the columns.
        hidden: by `find_hidden`.
        source: file, for messages.
        needed: whether a column of this name will be read; default all that have one.

    Raises:
        TableError: in a column that is needed a formula has no value, or cells are merged across columns or with the
            line of column names.
    """
    page = _Page(rows, needed)
    uncalculated = [cell for cell in hidden.uncalculated if page.lacks(cell, hidden.uncalculated)]
    if uncalculated:
        raise TableError(
            f"{source}: a formula must have its value in the file; without one: {_named(uncalculated)}. Open "
            "the workbook in a spreadsheet program and save it"
        )
    refused = [area for area in hidden.merged if page.hides(area)]
    if refused:
        raise TableError(
            f"{source}: merged cells must lie in one column, below the column names; others: {_named(refused)}. "
            "Unmerge them, and fill each"
        )
    seen = [list(row) for row in rows]
    for area in hidden.merged:
        page.fill(area, seen)
    return [tuple(row) for row in seen]


class _Page:
    """A sheet as it stands in the file; rows and columns are counted from 1."""

    def __init__(self, rows: Sequence[tuple[object, ...]], needed: Callable[[str], bool] | None) -> None:
        from openpyxl.utils.cell import get_column_letter  # noqa: PLC0415

        self._rows = rows
        names = {place: cell_text(name) for place, name in enumerate(rows[0], start=1)}
        self._width = max((place for place, name in names.items() if name), default=0)
        self._whole = needed is None
        self._needed = {
            place
            for place, name in names.items()
            if place <= self._width
            and (bool(name) if needed is None else needed(name or f"(column {get_column_letter(place)})"))
        }
        self._last = max((line for line, row in enumerate(rows, start=1) if self._filled(row)), default=0)

    def _filled(self, row: Sequence[object]) -> list[int]:
        """Columns of the table that hold something."""
        return [place for place, cell in enumerate(row[: self._width], start=1) if cell_text(cell)]

    def lacks(self, cell: str, uncalculated: Sequence[str]) -> bool:
        """Whether a formula without value stands in a row of the table; one alone in its line is a total below it."""
        place = _place(cell)
        if place is None:
            return True
        line, column = place
        if line == 1:  # it may have been a name
            return self._whole
        others = [found for found in map(_place, uncalculated) if found and found[0] == line and found != place]
        company = bool(self._filled(self._rows[line - 1])) or any(found[1] <= self._width for found in others)
        return column in self._needed and (company or self._width == 1)

    def hides(self, area: str) -> bool:
        """Whether cells of columns that are needed look empty in the file, and `fill` does not fill them."""
        left, top, right, bottom = _bounds(area)
        covered = self._needed & set(range(left, right + 1))
        if not covered or not self._value(left, top):
            return False
        if top == 1:
            return True
        if covered == {left}:
            return False
        lines = self._rows[top - 1 : bottom]
        of_text = not any(set(self._filled(row)) - {left} for row in lines)
        total = top == bottom == self._last and left == 1
        return not of_text and not total

    def fill(self, area: str, seen: list[list[object]]) -> None:
        """Give rows that hold something else too the value of a cell that is merged over them."""
        left, top, right, bottom = _bounds(area)
        value = self._value(left, top)
        if not value or left > self._width or (left < right and left not in self._needed):
            return
        for row, written in zip(seen[top - 1 : bottom], self._rows[top - 1 : bottom], strict=True):
            if self._filled(written):
                row.extend([None] * (left - len(row)))
                row[left - 1] = value

    def _value(self, column: int, line: int) -> object:
        row = self._rows[line - 1] if line <= len(self._rows) else ()
        return row[column - 1] if len(row) >= column and cell_text(row[column - 1]) else None


def _bounds(area: str) -> tuple[int, int, int, int]:
    from openpyxl.utils.cell import range_boundaries  # noqa: PLC0415

    left, top, right, bottom = range_boundaries(area)
    return left, top, right, bottom


def _place(cell: str) -> tuple[int, int] | None:
    """Row and column of a cell; None where the file does not tell."""
    from openpyxl.utils.cell import coordinate_to_tuple  # noqa: PLC0415

    return None if cell == "?" else coordinate_to_tuple(cell)


def _named(cells: Sequence[str]) -> str:
    more = f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else ""
    return f"{', '.join(cells[:_SHOWN])}{more}"
