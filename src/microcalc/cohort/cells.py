"""Cells of a table as text: reading a CSV file with its line numbers, and one spelling for every kind of value.

What the cells may hold is said in `microcalc.cohort.rows`.
"""

import csv
import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microcalc.errors import TableError

__all__ = ["TextTable", "cell_text", "is_unnamed", "read_csv_texts", "without_unnamed"]

_UNNAMED = re.compile(r"\(column [A-Z]+\)")


@dataclass(frozen=True)
class TextTable:
    """A table as it stands in a file: cells as written, and the file's line of each row."""

    table: pd.DataFrame
    lines: NDArray[np.int64]


def read_csv_texts(path: Path, *, delimiters: str = ",") -> TextTable:
    """Read a CSV file cell by cell as text, blank lines left out, and keep the line numbers.

    Args:
        path: UTF-8, with or without a byte order mark; the first line is the header.
        delimiters: those that may separate cells; the one that is most frequent in the header is taken.

    Raises:
        TableError: the file cannot be read, is not UTF-8, is empty, names a column twice, or has a ragged row.
    """
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(delimiters, key=first.count))
            header = [name.strip() for name in next(reader, [])]
            line = reader.line_num + 1
            for row in reader:
                if any(cell.strip() for cell in row):
                    _refuse_ragged(row, header, f"{path}, line {line}")
                    rows.append(row)
                    lines.append(line)
                line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: a table must be UTF-8 text; save it as 'CSV UTF-8' ({error})") from error
    except OSError as error:
        raise TableError(f"{path}: a table must be a readable CSV file; {error.strerror or error}") from error
    except csv.Error as error:
        raise TableError(
            f"{path}: a table must be a readable CSV file; line {len(lines) + 2} or later: {error}"
        ) from error
    if not any(header):
        raise TableError(f"{path}: a table must begin with a line of column names; the file is empty")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise TableError(f"{path}, line 1: a column may stand in a table once; {twice} stand there twice")
    table = without_unnamed(pd.DataFrame(rows, columns=pd.Index(header, dtype=object), dtype=object))
    return TextTable(table, np.asarray(lines, dtype=np.int64))


def without_unnamed(table: pd.DataFrame) -> pd.DataFrame:
    """A table without the columns that have neither name nor content, as spreadsheet programs leave them.

    Columns with content alone are named by their letter, "(column F)".

    Args:
        table: texts.
    """
    names = [str(name) or f"(column {_letters(place)})" for place, name in enumerate(table.columns)]
    used = [bool(name) or any(cell.strip() for cell in table.iloc[:, k]) for k, name in enumerate(table.columns)]
    return table.set_axis(pd.Index(names, dtype=object), axis=1).loc[:, used]


def is_unnamed(column: str) -> bool:
    """Whether a column got its name from `without_unnamed`."""
    return _UNNAMED.fullmatch(column) is not None


def _letters(place: int) -> str:
    """Name of a column of a spreadsheet, from 0: A ... Z, AA ..."""
    before, letter = divmod(place, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + letter)


def _refuse_ragged(row: list[str], header: list[str], where: str) -> None:
    if len(row) != len(header):
        raise TableError(f"{where}: a row must have as many cells as the header, {len(header)}; it has {len(row)}")


def cell_text(value: object) -> str:
    """A cell as stripped text: empty for None and NaN, whole numbers without a decimal point, days in ISO form."""
    if isinstance(value, str):
        text = value.strip()
        return text if text.isascii() else unicodedata.normalize("NFC", text)
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return "" if np.isnan(number) else str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    return str(value).strip()
