"""A table of texts from a CSV file or a workbook, without any guess at what the cells mean."""

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from microcalc.cohort.cells import cell_text, without_unnamed
from microcalc.errors import TableError
from microcalc.intake.sheet_cells import as_seen, find_hidden

__all__ = ["read_sheet", "seen_rows", "workbook_rows"]

Needed = Callable[[str], bool]
"""Whether the column of a name will be read."""

_WORKBOOKS = (".xlsx", ".xlsm")
_DELIMITERS = ",;\t"
"""What may separate the cells of a CSV file; spreadsheets of some countries write semicolons."""


def read_sheet(path: Path, *, sheet: str | None = None, needed: Needed | None = None) -> pd.DataFrame:
    """Read a table cell by cell as stripped text; empty cells are empty texts, empty rows and columns are left out.

    Args:
        path: CSV (UTF-8; comma, semicolon or tab) or XLSX; the first line names the columns.
        sheet: of a workbook; default the first.
        needed: columns that will be read: no cell of theirs may be hidden; default all that have a name.

    Raises:
        TableError: the file cannot be read, is empty, names a column twice, or hides values (`seen_rows`).
    """
    if path.suffix.casefold() == ".xls":
        raise TableError(f"{path}: a workbook must be XLSX; this is the older XLS. Save it as XLSX or as CSV UTF-8")
    table = _workbook(path, sheet, needed) if path.suffix.casefold() in _WORKBOOKS else _csv(path)
    table = without_unnamed(table.set_axis([str(name).strip() for name in table.columns], axis=1))
    twice = sorted(set(table.columns[table.columns.duplicated()]))
    if twice:
        raise TableError(f"{path}, line 1: a column may stand in a table once; {twice} stand there twice")
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise TableError(f"{path}: a table must have a line of column names and at least one row; none came")
    return table


def _csv(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
        delimiter = max(_DELIMITERS, key=header.count)
        table = pd.read_csv(
            path, sep=delimiter, dtype=str, header=None, keep_default_na=False, encoding="utf-8-sig",
            skip_blank_lines=False,
        )  # fmt: skip
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: a table must be UTF-8 text; save it as 'CSV UTF-8' ({error})") from error
    except OSError as error:
        raise TableError(f"{path}: a table must be a readable CSV or XLSX file; {error.strerror or error}") from error
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise TableError(f"{path}: a table must be a readable CSV or XLSX file; {error}") from error
    cells = table.astype(object).where(table.notna(), "").map(str.strip)
    return cells[1:].set_axis(list(cells.iloc[0]), axis=1).reset_index(drop=True)


def _workbook(path: Path, sheet: str | None, needed: Needed | None) -> pd.DataFrame:
    header, *rows = [[cell_text(cell) for cell in row] for row in seen_rows(path, sheet=sheet, needed=needed)]
    while header and not header[-1]:
        header.pop()
    cells = [[*row, *[""] * len(header)][: len(header)] for row in rows]
    return pd.DataFrame(cells, columns=pd.Index(header, dtype=object), dtype=object)


def workbook_rows(path: Path, *, sheet: str | None = None) -> list[tuple[object, ...]]:
    """Read the cells of a workbook as they are, the line of column names first.

    Args:
        path: XLSX.
        sheet: default the first.

    Raises:
        TableError: the file cannot be read, there is no such sheet, or its first line is empty.
    """
    return _rows_and_part(path, sheet)[0]


def seen_rows(path: Path, *, sheet: str | None = None, needed: Needed | None = None) -> list[tuple[object, ...]]:
    """Read the cells of a workbook as a person sees them: a merged cell has its value in each of its rows.

    Args:
        path: XLSX.
        sheet: default the first.
        needed: as for `read_sheet`.

    Raises:
        TableError: as `workbook_rows`; in a column that is needed a formula has no value, or cells are merged across
            columns.
    """
    rows, part = _rows_and_part(path, sheet)
    return as_seen(rows, find_hidden(path, part), source=str(path), needed=needed)


def _rows_and_part(path: Path, sheet: str | None) -> tuple[list[tuple[object, ...]], str]:
    import openpyxl  # noqa: PLC0415  (a tenth of a second that only workbooks need)
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about colours and drop-down lists that are of no concern here
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                names = list(book.sheetnames)
                if sheet is not None and sheet not in names:
                    raise TableError(f"{path}: the sheet must be one of {names}; there is no {sheet!r}")
                page = book[sheet or names[0]]
                page.reset_dimensions()  # some programs write a wrong size, and cells would be lost
                rows = list(page.iter_rows(values_only=True))
                part = str(page._worksheet_path)  # openpyxl reads merged cells only where it holds the whole sheet
            finally:
                book.close()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, InvalidFileException) as error:
        raise TableError(f"{path}: a workbook must be a readable XLSX file; {error}") from error
    if not rows or not any(cell_text(cell) for cell in rows[0]):
        raise TableError(f"{path}: a table must begin with a line of column names; its first line is empty")
    return rows, part
