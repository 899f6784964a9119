"""The watched folder: files that somebody lays there are taken in, once each, when they have stopped growing.

Files are only read, never moved or removed. What was taken or refused is remembered in the store by a hash of path,
size and time, so a restart takes nothing twice. A refused file that belongs to no exam is told to the page by its name.
"""

import datetime as dt
import hashlib
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import null, select
from sqlalchemy.orm import Session

from microcalc.errors import MicrocalcError
from microcalc.reader.store.database import Store
from microcalc.reader.store.models import WatchedFile, now
from microcalc.reader.store.shelf import Origin, Shelf, Taken, file_label
from microcalc.reader.store.vault import TooLargeError

__all__ = ["Watcher", "refused_files"]

log = logging.getLogger("microcalc.reader")

ORIGIN = Origin("watched folder", "watch")
UNFINISHED = (".partial", ".part", ".tmp", ".crdownload")
"""Endings of files that another program is still writing."""

TOO_LARGE = "too_large"

TOLD = dt.timedelta(days=7)
"""So long a refused file is told."""

MOST_TOLD = 200

MOST_OF_ONE = 20
"""Refusals kept of one zip; of the others the number is told."""


class Watcher:
    """Looks at a folder again and again in a thread of its own.

    Args:
        folder: with its subfolders.
        seconds: between two looks; a file is taken when two looks found it the same.
        store, shelf: that take the files in.
    """

    def __init__(self, folder: Path, seconds: float, store: Store, shelf: Shelf) -> None:
        self._folder, self._seconds, self._store, self._shelf = folder, seconds, store, shelf
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="microcalc watch", daemon=True)
        self._done: set[str] = set()
        self._growing: set[str] = set()

    def start(self) -> None:
        """Begin to look."""
        with self._store.reading() as session:
            self._done = set(session.scalars(select(WatchedFile.key)))
        self._thread.start()

    def close(self) -> None:
        """Look no more; waits for a file that is being taken."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Take every file that is as it was at the last look."""
        seen: set[str] = set()
        codes: Counter[str] = Counter()
        for path, key in self._files():
            if self._stop.is_set():
                return
            if key in self._done:
                continue
            if key in self._growing:
                codes[self._take(path, key)] += 1
            else:
                seen.add(key)
        self._growing = seen
        if codes:
            log.info("watched folder: %s", ", ".join(f"{count} {code}" for code, count in sorted(codes.items())))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except (MicrocalcError, OSError) as error:
                log.warning("watched folder: %s; it is looked at again", type(error).__name__)
            self._stop.wait(self._seconds)

    def _files(self) -> Iterator[tuple[Path, str]]:
        for folder, names, files in os.walk(self._folder):
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(files):
                if name.startswith(".") or name.casefold().endswith(UNFINISHED):
                    continue
                path = Path(folder) / name
                try:
                    facts = path.stat()
                except OSError:
                    continue
                words = f"{path.relative_to(self._folder)}\0{facts.st_size}\0{facts.st_mtime_ns}"
                yield path, hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()

    def _take(self, path: Path, key: str) -> str:
        try:
            taken = self._shelf.take_file(path, ORIGIN)
        except TooLargeError:
            taken = [Taken(file_label(path.name), False, TOO_LARGE, "the file is larger than this server takes")]
        except FileNotFoundError:
            return "vanished"
        code = ", ".join(sorted({each.code for each in taken}))[:32] or "empty"
        lost = _told([each for each in taken if not (each.accepted or each.image_id)], path.name)
        with self._store.writing() as session:
            session.merge(WatchedFile(key=key, code=code, refused={"files": lost} if lost else None))
        self._done.add(key)
        return code


def _told(lost: Sequence[Taken], name: str) -> list[dict[str, str]]:
    told = [{"file": each.file, "code": each.code, "message": each.message} for each in lost[:MOST_OF_ONE]]
    if len(lost) > MOST_OF_ONE:
        more = f"and {len(lost) - MOST_OF_ONE} more files in it"
        told.append({"file": file_label(name), "code": "more", "message": more})
    return told


def refused_files(session: Session) -> list[dict[str, str]]:
    """Files of the watched folder that are in no exam: ``file``, ``code``, ``message``, ``at``; the newest first."""
    query = (
        select(WatchedFile)
        .where(WatchedFile.at > now() - TOLD, WatchedFile.refused.is_not(null()))
        .order_by(WatchedFile.at.desc(), WatchedFile.key)
        .limit(MOST_TOLD)
    )
    return [
        {**{name: str(value) for name, value in file.items()}, "at": row.at.isoformat()}
        for row in session.scalars(query)
        for file in _files_of(row)
    ]


def _files_of(row: WatchedFile) -> list[dict[str, object]]:
    files = (row.refused or {}).get("files")
    return [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []
