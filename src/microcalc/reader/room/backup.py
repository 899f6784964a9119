"""A copy of a reading room's data while the server runs: database, images, heatmaps, and what waits for the PACS.

The database is copied by SQLite itself, so the copy is of one moment; files are never changed once they are there, so
a second backup into the same folder copies only new ones. Decoded pixels are left out: they are made again.
"""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from microcalc.cohort.storage import atomic_path, explained_write_errors
from microcalc.errors import InputError
from microcalc.reader.room.room import DATABASE

__all__ = ["BackedUp", "back_up"]

FOLDERS = ("objects", "heatmaps", "outbox")


@dataclass(frozen=True)
class BackedUp:
    """What a backup did.

    Attributes:
        files: copied now.
        there: copied before.
        database: whether the database is in it; one on PostgreSQL is not.
    """

    files: int
    there: int
    database: bool


def back_up(data: Path, out: Path) -> BackedUp:
    """Copy a data folder.

    Args:
        data: of a reading room, whether its server runs or not.
        out: new, empty, or of an earlier backup.

    Raises:
        InputError: there is no reading room, or ``out`` is inside it or holds something else.
        MicrocalcError: the disk is full, or ``out`` cannot be written.
    """
    if not (data / "objects").is_dir():
        raise InputError(f"{data}: must be the data folder of a reading room (serve --data); it is none")
    if data.resolve() in (out.resolve(), *out.resolve().parents):
        raise InputError(f"{out}: a backup must lie outside the data folder {data}; name another place")
    if out.exists() and any(out.iterdir()) and not (out / "objects").is_dir():
        raise InputError(f"{out}: a backup must go into a new folder or an earlier backup; this holds something else")
    with explained_write_errors(out, way_out="choose a folder that you may write to"):
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        # What waits for the PACS is copied before and after the database: it is removed once it is sent.
        copied = _copy_new(data, out, "outbox")
        database = _copy_database(data / DATABASE, out / DATABASE)
        counts = [copied, *(_copy_new(data, out, name) for name in FOLDERS)]
    return BackedUp(sum(new for new, _ in counts), sum(old for _, old in counts), database)


def _copy_database(source: Path, target: Path) -> bool:
    if not source.is_file():
        return False
    with (
        atomic_path(target) as temporary,
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as theirs,
        closing(sqlite3.connect(temporary)) as ours,
    ):
        theirs.backup(ours)
        ours.execute("PRAGMA journal_mode = DELETE")
    return True


def _copy_new(data: Path, out: Path, folder: str) -> tuple[int, int]:
    """How many files were copied, and how many were there."""
    new = old = 0
    for path in sorted((data / folder).rglob("*")):
        target = out / path.relative_to(data)
        if path.name.startswith(".") or not path.is_file():
            continue
        if target.exists() and target.stat().st_size == path.stat().st_size:
            old += 1
            continue
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with atomic_path(target) as temporary:
                shutil.copyfile(path, temporary)
                temporary.chmod(0o600)
        except FileNotFoundError:  # sent to the PACS in the meantime
            continue
        new += 1
    return new, old
