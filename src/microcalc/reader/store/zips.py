"""Zip files that were uploaded: their files one after the other, within limits, whatever the zip claims.

Names inside a zip are shown and never used as paths. The list of contents is bounded before it is read, the sum of the
sizes before anything is unpacked, and each file again while it is unpacked.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from microcalc.reader.settings import Limits
from microcalc.reader.store.vault import Incoming, TooLargeError, Vault, copy_into

__all__ = ["RefusedEntry", "is_zip", "unpacked"]

LOCAL_HEADER, EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
LARGEST_DIRECTORY = 4 << 20
"""Bytes of the list of contents; 10,000 long names are 3 million."""

PREAMBLE = 128


@dataclass(frozen=True)
class RefusedEntry:
    """A file of a zip, or the zip itself, that is not taken.

    Attributes:
        code: short name of the reason.
        message: what must hold, what came, the way out.
    """

    code: str
    message: str


def is_zip(path: Path) -> bool:
    """Whether a file is a zip and no DICOM file whose preamble looks like one."""
    with path.open("rb") as file:
        head = file.read(PREAMBLE + 4)
    return head.startswith((LOCAL_HEADER, EMPTY_ZIP)) and head[PREAMBLE:] != b"DICM"


def unpacked(path: Path, vault: Vault, limits: Limits) -> Iterator[tuple[str, Incoming | RefusedEntry]]:
    """The files of a zip, each unpacked when it is its turn.

    Args:
        path: of the zip.
        vault: that receives the files; whoever gets one keeps or discards it.
        limits: of what is taken in.

    Yields:
        Name inside the zip, and the file or why it is not taken; one refusal with an empty name for the whole zip.
    """
    try:
        with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            refusal = _too_much(entries, limits)
            if refusal is not None:
                yield "", refusal
                return
            left = limits.unzipped_bytes
            for entry in entries:
                got = _one(archive, entry, vault, min(limits.file_bytes, left))
                left -= got.size if isinstance(got, Incoming) else 0
                yield entry.filename, got
    except TooLargeError:
        yield "", RefusedEntry("too_many_files", "a zip must have a shorter list of files; pack them in several zips")
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error) as error:
        yield "", RefusedEntry("damaged_zip", f"the zip must be whole; it cannot be read ({type(error).__name__})")


class _Bounded(io.FileIO):
    """A file of which nobody reads more than `LARGEST_DIRECTORY` bytes at once: a zip's list is read as a whole."""

    def read(self, size: int | None = -1) -> bytes:
        """Bytes from here, as asked."""
        wanted = LARGEST_DIRECTORY + 1 if size is None or size < 0 else size
        data = super().read(wanted) if wanted <= LARGEST_DIRECTORY + 1 else None
        if data is None or len(data) > LARGEST_DIRECTORY:
            raise TooLargeError
        return data


def _too_much(entries: list[zipfile.ZipInfo], limits: Limits) -> RefusedEntry | None:
    if len(entries) > limits.zip_entries:
        return RefusedEntry(
            "too_many_files", f"a zip must hold at most {limits.zip_entries:,} files; this one lists {len(entries):,}"
        )
    total = sum(entry.file_size for entry in entries)
    if total > limits.unzipped_bytes:
        return RefusedEntry(
            "zip_bomb",
            f"the files of a zip must have at most {limits.unzipped_bytes:,} bytes together; these say {total:,}. "
            "Pack them in several zips",
        )
    return None


def _one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, vault: Vault, limit: int) -> Incoming | RefusedEntry:
    if entry.flag_bits & 1:
        return RefusedEntry("encrypted", "the files of a zip must be readable without a password; this one is not")
    incoming = vault.incoming(limit)
    try:
        with archive.open(entry) as file:
            copy_into(incoming, file.read)
        incoming.finish()
    except TooLargeError:
        incoming.discard()
        return RefusedEntry("too_large", f"a file must have at most {limit:,} bytes unpacked; this one has more")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        incoming.discard()
        return RefusedEntry("damaged_zip", f"the file cannot be unpacked ({type(error).__name__}); pack it again")
    except BaseException:
        incoming.discard()
        raise
    return incoming
