"""The table of cases to be read: one row per square, with the path of its image and where the lesion lies.

Only the table is read and checked here, before anything is computed; images are opened in `microcalc.reader.many`.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microcalc.cohort.cells import read_csv_texts
from microcalc.errors import TableError

__all__ = ["AskedCase", "cases_fingerprint", "read_cases"]

_NEEDED, _PLACE, _ID = "path", ("row", "col"), "id"
_SHOWN = 10


@dataclass(frozen=True)
class AskedCase:
    """One row of the table.

    Attributes:
        id: of the row; its number where the table has no column ``id``.
        written: path as it stands in the table.
        path: of the image, relative paths being below the table's folder.
        place: row and column of the lesion; None for a square that is cut already.
    """

    id: str
    written: str
    path: Path
    place: tuple[float, float] | None


def read_cases(table: Path) -> tuple[AskedCase, ...]:
    """Read and check a table of cases.

    Args:
        table: CSV with the columns ``path``, ``row``, ``col`` and perhaps ``id``; others are ignored. ``row`` and
            ``col`` may be empty, both of them, where the image is a square of 512 x 512 pixels.

    Raises:
        TableError: the file cannot be read, lacks a column, or rows break a rule; names the lines.
    """
    texts = read_csv_texts(table, delimiters=",;\t")
    columns = set(texts.table.columns)
    lacking = [name for name in (_NEEDED, *_PLACE) if name not in columns]
    if lacking:
        raise TableError(
            f"{table}: a table of cases needs the columns path, row and col (id is optional); {', '.join(lacking)} "
            f"missing, found {', '.join(map(str, texts.table.columns))}"
        )
    if texts.table.empty:
        raise TableError(f"{table}: a table of cases must hold at least one row; it holds none")
    cases: list[AskedCase] = []
    faults: list[str] = []
    lines: dict[str, int] = {}
    for number, (cells, line) in enumerate(zip(texts.table.to_dict("records"), texts.lines, strict=True), start=1):
        row = {str(name): str(cell).strip() for name, cell in cells.items()}
        name = row.get(_ID, "") if _ID in columns else str(number)
        fault = _fault(row, name, lines)
        if fault:
            faults.append(f"  line {line}: {fault}")
            continue
        lines[name] = int(line)
        place = (float(row["row"]), float(row["col"])) if row["row"] else None
        cases.append(AskedCase(name, row[_NEEDED], table.parent / row[_NEEDED], place))
    if faults:
        more = [f"  and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise TableError(f"{table}: these rows cannot be read:\n" + "\n".join([*faults[:_SHOWN], *more]))
    return tuple(cases)


def cases_fingerprint(cases: Sequence[AskedCase]) -> str:
    """SHA-256 over ids, paths and places."""
    text = "\n".join(repr((case.id, case.written, case.place)) for case in cases)
    return hashlib.sha256(text.encode()).hexdigest()


def _fault(row: dict[str, str], name: str, lines: dict[str, int]) -> str:
    """What is wrong with a row; empty where nothing is."""
    if not row[_NEEDED]:
        return "path must not be empty"
    if not name:
        return "id must not be empty where the table has that column"
    if name in lines:
        return f"id must be unique; {name!r} stands in line {lines[name]} too"
    given = [row[column] for column in _PLACE]
    if any(given) and not all(map(_is_number, given)):
        return f"row and col must be numbers, or both empty; found {given[0]!r} and {given[1]!r}"
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
