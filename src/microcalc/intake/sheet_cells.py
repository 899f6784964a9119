"""Cells of a workbook that look empty in the file though a person sees a value: merged ones, and formulas.

Read as empty they would say no to a rule, or that there is no histopathology.
"""

import io
import re
import zipfile
from collections.abc import Sequence
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


def as_seen(rows: Sequence[tuple[object, ...]], hidden: HiddenCells, *, source: str) -> list[tuple[object, ...]]:
    """Rows with the value of a merged cell in each of its rows that holds something else too.

    People merge a cell down to the end of the page: the empty lines below a table are no rows of it.

    Args:
        rows: of the sheet, from its first.
        hidden: by `find_hidden`.
        source: file, for messages.

    Raises:
        TableError: a formula has no value, or cells are merged across columns or with the line of column names.
    """
    if hidden.uncalculated:
        raise TableError(
            f"{source}: a formula must have its value in the file; without one: {_named(hidden.uncalculated)}. Open "
            "the workbook in a spreadsheet program and save it"
        )
    from openpyxl.utils.cell import range_boundaries  # noqa: PLC0415

    seen = [list(row) for row in rows]
    width = max((place for place, name in enumerate(rows[0], start=1) if cell_text(name)), default=0)
    refused = []
    for area in hidden.merged:
        left, top, right, bottom = range_boundaries(area)
        covered = seen[top - 1 : bottom]
        value = covered[0][left - 1] if covered and len(covered[0]) >= left else None
        if not cell_text(value) or (left < right and not any(_has_more(row, left) for row in covered)):
            continue  # nothing is hidden, or a line of text below or above the table
        if left < right or top == 1:
            refused.append(area)
            continue
        for row, written in zip(covered, rows[top - 1 : bottom], strict=True):
            if any(cell_text(cell) for cell in written[:width]):
                row.extend([None] * (left - len(row)))
                row[left - 1] = value
    if refused:
        raise TableError(
            f"{source}: merged cells must lie in one column, below the column names; others: {_named(refused)}. "
            "Unmerge them, and fill each"
        )
    return [tuple(row) for row in seen]


def _has_more(row: Sequence[object], column: int) -> bool:
    return any(cell_text(cell) for place, cell in enumerate(row, start=1) if place != column)


def _named(cells: Sequence[str]) -> str:
    more = f" and {len(cells) - _SHOWN} more" if len(cells) > _SHOWN else ""
    return f"{', '.join(cells[:_SHOWN])}{more}"
