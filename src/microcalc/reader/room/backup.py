"""A copy of a reading room's data while the server runs: database, images, heatmaps, and what waits for the PACS.

The database is copied by SQLite itself, so the copy is of one moment, and checked before it takes the place of an
earlier one; files are never changed once they are there, so a second backup into the same folder copies only new ones.
Decoded pixels are left out: they are made again.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from microcalc.cohort.storage import atomic_path, explained_write_errors
from microcalc.errors import InputError, MicrocalcError
from microcalc.reader.room.room import DATABASE, LOCK

__all__ = ["BackedUp", "back_up"]

FOLDERS = ("objects", "heatmaps", "outbox")

LEFTOVERS = ("-wal", "-shm", "-journal")
"""Files of SQLite beside a database. Those of an earlier copy that somebody opened would be laid over the new one."""


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
        MicrocalcError: a server runs on ``out``, the database cannot be copied whole, the disk is full, or ``out``
            cannot be written.
    """
    if not (data / "objects").is_dir():
        raise InputError(f"{data}: must be the data folder of a reading room (serve --data); it is none")
    if data.resolve() in (out.resolve(), *out.resolve().parents):
        raise InputError(f"{out}: a backup must lie outside the data folder {data}; name another place")
    if out.exists() and any(out.iterdir()) and not (out / "objects").is_dir():
        raise InputError(f"{out}: a backup must go into a new folder or an earlier backup; this holds something else")
    with explained_write_errors(out, way_out="choose a folder that you may write to"):
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        (out / "objects").mkdir(exist_ok=True, mode=0o700)
        with _claimed(out):
            # What waits for the PACS is copied before and after the database: it is removed once it is sent.
            copied = _copy_new(data, out, "outbox")
            database = _copy_database(data / DATABASE, out / DATABASE)
            counts = [copied, *(_copy_new(data, out, name) for name in FOLDERS)]
    return BackedUp(sum(new for new, _ in counts), sum(old for _, old in counts), database)


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """Keep servers off the copy, which somebody may have opened to try it."""
    try:
        with FileLock(out / LOCK, timeout=0):
            yield
    except Timeout as error:
        raise MicrocalcError(
            f"{out}: a backup must go where no server works; a server is running on it. Stop it, or name another folder"
        ) from error


def _copy_database(source: Path, target: Path) -> bool:
    if not source.is_file():
        return False
    try:
        with atomic_path(target) as temporary:
            with (
                closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as theirs,
                closing(sqlite3.connect(temporary)) as ours,
            ):
                head = _last_line(theirs)
                theirs.backup(ours)
                ours.execute("PRAGMA journal_mode = DELETE")
            _check(temporary, head)
            for more in LEFTOVERS:
                target.with_name(target.name + more).unlink(missing_ok=True)
        _check(target, head)
    except sqlite3.Error as error:
        raise MicrocalcError(
            f"{source}: the database must be copied whole; copying it ended with {type(error).__name__}: {error}. "
            "See that the disk has room and that the database is not damaged, and start again"
        ) from error
    return True


def _last_line(database: sqlite3.Connection) -> tuple[int, str]:
    """Number and hash of the log's last line; 0 where there is none."""
    found = database.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return (0, "") if found is None else (int(found[0]), str(found[1]))


def _check(path: Path, head: tuple[int, str]) -> None:
    """Open a copy as a server would: it must be whole and have the line that was the log's last before it was made.

    Raises:
        sqlite3.DatabaseError: it is damaged, or another one.
    """
    with closing(sqlite3.connect(path)) as database:
        (said,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(said)
        found = database.execute("SELECT hash FROM audit WHERE number = ?", head[:1]).fetchone()
        if head[0] and found != head[1:]:
            raise sqlite3.DatabaseError(f"line {head[0]} of the log is not in the copy")


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
