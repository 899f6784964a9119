"""A journal of rows that are done: one line each, on the disk before it counts, so that a killed run can go on.

The first line says what the rows belong to; a journal of something else is refused. A last line that a kill cut short
is dropped. What the rows hold is the caller's business.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from microcalc.cohort.storage import explained_write_errors
from microcalc.errors import InputError

__all__ = ["Journal", "Row", "open_journal"]

Row = Mapping[str, object]


class Journal:
    """An open journal; made by `open_journal`.

    Args:
        path: of its file.
        rows: that were there when it was opened.
        file: at whose end further rows are written.
    """

    def __init__(self, path: Path, rows: list[Row], file: BinaryIO) -> None:
        self.path = path
        self.rows = rows
        self._file = file

    def add(self, row: Row) -> None:
        """Add a row; when this returns it is on the disk.

        Raises:
            MicrocalcError: the disk is full.
        """
        with explained_write_errors(self.path, way_out="choose another --out"):
            self._file.write(_line(row))
            self._file.flush()
            os.fsync(self._file.fileno())
        self.rows.append(row)


@contextmanager
def open_journal(path: Path, about: Row) -> Iterator[Journal]:
    """Open a journal, or begin one.

    Args:
        path: of the file.
        about: what the rows belong to: equal for runs that may go on with each other's rows.

    Raises:
        InputError: the journal belongs to something else.
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    with explained_write_errors(path, way_out="choose another --out"), path.open("a+b") as file:
        file.seek(0)
        whole, rows = _whole_lines(file.read())
        if rows and rows[0] != about:
            differing = ", ".join(key for key in about if rows[0].get(key) != about[key])
            raise InputError(
                f"{path}: results that were begun must go on with the same table, study and runtime; {differing} "
                "differ. Choose another --out, or delete this file to begin anew"
            )
        file.truncate(whole)
        journal = Journal(path, rows[1:], file)
        if not rows:
            file.write(_line(about))
        yield journal


def _whole_lines(content: bytes) -> tuple[int, list[Row]]:
    """Bytes that are whole lines, and their rows: up to the first line that a kill cut short."""
    rows: list[Row] = []
    length = 0
    for line in content.splitlines(keepends=True):
        try:
            row = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(row, dict):
            break
        rows.append(row)
        length += len(line)
    return length, rows


def _line(row: Row) -> bytes:
    return (json.dumps(row, ensure_ascii=True, sort_keys=True) + "\n").encode()
