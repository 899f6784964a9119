"""The files behind the store: what was uploaded, under the hash of its bytes, and what is made of it.

    objects/ab/ab12….dcm     a DICOM file as it came; never changed, written whole or not at all
    pixels/ab/ab12….u16      its greys, little-endian; .u16.gz the same for the page; .png a small picture
    heatmaps/ID.npz          of a reading
    outbox/                  objects on their way to the PACS
    incoming/                what is being received; emptied at each start

Only ``objects``, ``heatmaps`` and ``outbox`` need a backup: ``pixels`` is made again where it is missing. What an
uploaded file was called is used nowhere as a path.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from microcalc.cohort.storage import explained_write_errors

__all__ = ["Incoming", "TooLargeError", "Vault", "copy_into"]

WAY_OUT = "give another data folder (--data DIR)"


class TooLargeError(Exception):
    """More bytes came than are taken in."""


@dataclass
class Incoming:
    """A file on its way in: write to it, `finish` it, then `Vault.keep` or `discard` it.

    Attributes:
        path: temporary, on the disk of the vault.
        limit: bytes at most.
        size: bytes so far.
        sha256: of all bytes, after `finish`.
    """

    path: Path
    limit: int
    size: int = 0
    sha256: str = ""

    def __post_init__(self) -> None:
        self._hash = hashlib.sha256()
        self._file: BinaryIO = self.path.open("xb")

    def write(self, data: bytes) -> None:
        """Take some bytes.

        Raises:
            TooLargeError: the limit is passed.
            MicrocalcError: the disk is full.
        """
        self.size += len(data)
        if self.size > self.limit:
            raise TooLargeError
        self._hash.update(data)
        with explained_write_errors(self.path.parent, way_out=WAY_OUT):
            self._file.write(data)

    def finish(self) -> None:
        """Force the bytes to the disk."""
        with explained_write_errors(self.path.parent, way_out=WAY_OUT):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        self.sha256 = self._hash.hexdigest()

    def discard(self) -> None:
        """Forget the file, finished or not; harmless where it was kept."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


class Vault:
    """The folders of files.

    Args:
        folder: of all of them; made, closed to others, if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with explained_write_errors(folder, way_out=WAY_OUT):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in ("objects", "pixels", "heatmaps", "outbox", "incoming"):
                (folder / name).mkdir(exist_ok=True, mode=0o700)

    def clean(self) -> None:
        """Remove what a killed server left half-received; only while nobody else uses the vault."""
        for path in (self.folder / "incoming").iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()

    def incoming(self, limit: int) -> Incoming:
        """Begin to receive a file of so many bytes at most."""
        return Incoming(self.folder / "incoming" / f"{secrets.token_hex(16)}.partial", limit)

    def keep(self, incoming: Incoming) -> Path:
        """Put a finished file under the hash of its bytes; after this it survives a power cut."""
        target = self.object_path(incoming.sha256)
        with explained_write_errors(target, way_out=WAY_OUT):
            target.parent.mkdir(exist_ok=True, mode=0o700)
            if not target.exists():
                incoming.path.replace(target)
                _sync_folder(target.parent)
        return target

    def object_path(self, sha256: str) -> Path:
        """Where the file of a hash lies."""
        return self.folder / "objects" / sha256[:2] / f"{sha256}.dcm"

    def pixels_stem(self, sha256: str) -> Path:
        """Path, without suffix, of what is made of a file's pixels."""
        return self.folder / "pixels" / sha256[:2] / sha256

    def heatmaps_path(self, reading_id: str) -> Path:
        """Where the heatmaps of a reading lie."""
        return self.folder / "heatmaps" / f"{reading_id}.npz"

    def outbox_path(self, name: str) -> Path:
        """Where an object for the PACS lies."""
        return self.folder / "outbox" / name


def _sync_folder(folder: Path) -> None:
    """Force a rename to the disk, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_into(incoming: Incoming, read: Callable[[int], bytes]) -> None:
    """Take all bytes that a function gives, a mebibyte at a time."""
    while data := read(1 << 20):
        incoming.write(data)
