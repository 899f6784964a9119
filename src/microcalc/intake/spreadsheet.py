"""Intake of a spreadsheet: a CSV or XLSX table with the columns of the contract and the path of each image.

Paths are relative to the table's folder, or to another that is named. Every bad row is found in one pass and named by
its line; the rules of a row live in `microcalc.cohort.rows`.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from microcalc.cohort.cells import TextTable, cell_text, read_csv_texts
from microcalc.cohort.rows import COLUMNS, check_rows
from microcalc.cohort.table import Cohort, Verdict
from microcalc.errors import TableError
from microcalc.intake.folders import id_from_path
from microcalc.intake.gathering import Candidate, Gathering, IntakeSettings, Progress, gather
from microcalc.intake.sheets import seen_rows

__all__ = ["PATH_COLUMNS", "TableSource", "from_table"]

PATH_COLUMNS = ("image_path", "path", "file")
"""Names that the column with the image's path may have; a table has one of them."""

_NEEDED = (PATH_COLUMNS, ("patient_id",), ("label", "pathology"))
"""Columns that a table needs, each with the names that it may have."""

_WORKBOOKS = (".xlsx", ".xlsm")
_DELIMITERS = ",;\t"
"""What may separate the cells of a CSV file; spreadsheets of some countries write semicolons."""


@dataclass(frozen=True)
class TableSource:
    """Where the rows and the images are.

    Attributes:
        path: CSV (UTF-8; comma, semicolon or tab) or XLSX; the first line names the columns.
        images: folder that image paths are relative to; None: the table's own.
        sheet: sheet of a workbook; None: the first.
    """

    path: Path
    images: Path | None = None
    sheet: str | None = None


def from_table(
    source: TableSource, out: Path, settings: IntakeSettings | None = None, *, progress: Progress | None = None
) -> Cohort:
    """Make a cohort of a table that names its images.

    Args:
        source: table and folder of the images.
        out: cohort folder; new or empty.
        settings: what to do with other sizes, bad rows and unscaled greys.
        progress: called after each image.

    Raises:
        TableError: the table cannot be read, or lacks a column.
        InputError: rows or images cannot be used (all are named).
        CohortError: ``out`` is not empty.
    """
    texts = _read(source)
    table, passed_over = _named_columns(texts.table, source.path)
    folder = source.images or source.path.parent
    cells = [cell_text(cell) for cell in table.pop("image_path")]
    paths = [_path(folder, cell) for cell in cells]
    if "image_id" not in table.columns:
        table["image_id"] = [id_from_path(Path(p.name)) for p in paths]
    checked = check_rows(table, source=str(source.path), lines=texts.lines)
    names = [f"line {line}" for line in texts.lines]
    verdicts = [Verdict(names[p.position], False, p.code, p.message, p.image_id) for p in checked.problems]
    verdicts += _path_verdicts(names, cells, paths)
    bad = {v.source for v in verdicts}
    if passed_over:
        note = f"Columns that nothing reads were passed over: {', '.join(passed_over)}"
        verdicts.insert(0, Verdict(source.path.name, True, "other-columns", note))
    rows = [{str(k): v for k, v in row.items()} for row in checked.table.to_dict(orient="records")]
    found = zip(names, paths, rows, strict=True)
    candidates = [Candidate(name, path, row, path.name) for name, path, row in found if name not in bad]
    description = {"kind": "table", "name": source.path.name, "sheet": source.sheet or ""}
    gathering = Gathering(str(source.path), description, candidates, verdicts)
    return gather(gathering, out, settings or IntakeSettings(), progress=progress)


def _read(source: TableSource) -> TextTable:
    suffix = source.path.suffix.casefold()
    if suffix in _WORKBOOKS:
        return _from_rows(seen_rows(source.path, sheet=source.sheet, needed=_is_read))
    if suffix == ".xls":
        raise TableError(
            f"{source.path}: a workbook must be XLSX; this is the older XLS. Save it as XLSX or as CSV UTF-8"
        )
    return read_csv_texts(source.path, delimiters=_DELIMITERS)


def _from_rows(rows: list[tuple[object, ...]]) -> TextTable:
    header = [cell_text(cell) for cell in rows[0]]
    while header and not header[-1]:
        header.pop()
    filled = [(line, row) for line, row in enumerate(rows[1:], start=2) if any(cell_text(c) for c in row)]
    cells = [[*row, *[None] * len(header)][: len(header)] for _, row in filled]
    table = pd.DataFrame(cells, columns=pd.Index(header, dtype=object), dtype=object)
    return TextTable(table, np.asarray([line for line, _ in filled], dtype=np.int64))


def _named_columns(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The contract's columns and ``image_path``, however their names are spelled; and the names of all others."""
    spelled: dict[str, list[str]] = defaultdict(list)
    for name in map(str, table.columns):
        spelled[_spelled(name)].append(name)
    for column, names in spelled.items():
        if len(names) > 1 and column in (*COLUMNS, *PATH_COLUMNS):
            raise TableError(f"{path}, line 1: column {column} must stand in a table once; it is there as {names}")
    of_path = [c for c in PATH_COLUMNS if c in spelled]
    if len(of_path) > 1:
        raise TableError(f"{path}, line 1: one column must hold the images' paths; found {of_path}. Rename the others")
    missing = [" or ".join(names) for names in _NEEDED if not spelled.keys() & set(names)]
    if missing:
        raise TableError(
            f"{path}, line 1: a table of images needs the columns {'; '.join(map(' or '.join, _NEEDED))}; "
            f"missing: {'; '.join(missing)}; found {list(map(str, table.columns))}. Name them in the first line"
        )
    wanted = {spelled[c][0]: c for c in COLUMNS if c in spelled} | {spelled[of_path[0]][0]: "image_path"}
    others = [str(c) for c in table.columns if c and c not in wanted]
    return table[list(wanted)].rename(columns=wanted), others


def _spelled(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.casefold())


def _is_read(name: str) -> bool:
    return _spelled(name) in (*COLUMNS, *PATH_COLUMNS)


def _path(folder: Path, text: str) -> Path:
    """Path of an image; backslashes, as Windows writes them, part folders everywhere."""
    return folder / (text if os.sep == "\\" else text.replace("\\", "/"))


def _path_verdicts(names: list[str], cells: list[str], paths: list[Path]) -> Iterator[Verdict]:
    first: dict[Path, str] = {}
    for name, cell, path in zip(names, cells, paths, strict=True):
        if not cell:
            yield Verdict(name, False, "no-path", "the image path must not be empty")
        elif not path.is_file():
            message = (
                f"the image file must exist; there is no {cell if cell.isprintable() else repr(cell)} "
                "in the table's folder, or the one that --images names"
            )
            yield Verdict(name, False, "missing-file", message)
        elif path in first:
            yield Verdict(
                name, False, "same-file", f"an image file may stand in a table once; {first[path]} has it too"
            )
        first.setdefault(path, name)
