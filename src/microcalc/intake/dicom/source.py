"""From a path, bytes or a dataset to a parsed header and the place where the pixels lie, within bounded memory.

Nothing of the pixels is read here. A file is parsed up to its pixel data; lengths that the file only claims are never
asked of the memory; a deflated file is inflated up to a limit. What the header says is judged elsewhere.
"""

import errno
import io
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from microcalc.intake.dicom.header import Header
from microcalc.intake.dicom.library import CONTENT_ERRORS, DicomDataset, Rejected, filereader
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["Opened", "Source", "open_source"]

Source = Path | bytes | DicomDataset
"""What can be read: a file, its bytes, or a pydicom dataset."""

PREAMBLE = 128
META = PREAMBLE + 4
HEADER_LIMIT = 64 << 20
"""Bytes of a header that are read at most."""

DEFER = 1 << 20
"""Elements longer than this are left in the file."""

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
"""Float Pixel Data, Double Float Pixel Data, Pixel Data."""

ARCHIVES = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b\x08",
    b"7z\xbc\xaf\x27\x1c",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"Rar!\x1a\x07",
)
"""First bytes of zip, gzip, 7z, bzip2, xz and rar."""

_TAR = slice(257, 262)


@dataclass(frozen=True)
class Opened:
    """A parsed header and the file behind it.

    Attributes:
        header: everything before the pixel data.
        transfer_syntax: UID; guessed from the encoding where the file has none.
        file: stands at the element of the pixel data; nothing where a dataset has none.
        size: bytes of ``file``.
        little_endian: byte order of the dataset.
        has_preamble: the file begins as PS3.10 asks for.
    """

    header: Header
    transfer_syntax: str
    file: BinaryIO | None
    size: int
    little_endian: bool
    has_preamble: bool = True


@contextmanager
def open_source(source: Source, *, inflate_limit: int) -> Iterator[Opened]:
    """Parse the header of a source; the file stays open inside.

    Args:
        source: a file, its bytes, or a dataset.
        inflate_limit: bytes that a deflated dataset may become.

    Raises:
        Rejected: there is no DICOM header to be had.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield _parse(io.BytesIO(source), len(source), inflate_limit)
    elif isinstance(source, Path):
        with _open_file(source) as file:
            yield _parse(file, source.stat().st_size, inflate_limit)
    else:
        yield _of_dataset(source)


def _open_file(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise Rejected(Verdict.NOT_A_FILE, f"{path} must be a file; it is {_kind(mode)}. Name the files inside it")
        return path.open("rb")
    except FileNotFoundError as error:
        raise Rejected(Verdict.NOT_FOUND, f"there is no file {path}; check its name") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) == errno.ELOOP:
            raise Rejected(Verdict.SYMLINK_LOOP, f"the link {path} leads back to itself; remove it") from error
        raise Rejected(Verdict.UNREADABLE, f"{path} cannot be opened ({reason}); check its permissions") from error


def _kind(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"


class _Bounded(io.RawIOBase):
    """A file that gives no more than it has and no more than `HEADER_LIMIT` bytes in all."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__()
        self._file, self._size, self._left = file, size, HEADER_LIMIT

    def read(self, size: int | None = -1) -> bytes:
        there = max(self._size - self._file.tell(), 0)
        size = there if size is None or size < 0 else min(size, there)
        self._left -= size
        if self._left < 0:
            raise ValueError(f"the header is longer than {HEADER_LIMIT >> 20} MiB")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _parse(file: BinaryIO, size: int, inflate_limit: int) -> Opened:
    head = file.read(4096)
    file.seek(0)
    if not head:
        raise Rejected(Verdict.NOT_DICOM, "the file is empty; a DICOM file begins with 128 bytes and DICM")
    if head.startswith(ARCHIVES) or head[_TAR] == b"ustar":
        raise Rejected(
            Verdict.ARCHIVE, "the file is an archive (or a workbook); unpack it and name the folder of its DICOM files"
        )
    has_preamble = head[PREAMBLE:META] == b"DICM"
    if not has_preamble and not _looks_like_elements(head):
        raise Rejected(Verdict.NOT_DICOM, f"a DICOM file begins with 128 bytes and DICM; this one with {head[:8]!r}")
    deflated = has_preamble and _meta_syntax(head) == DEFLATED
    if deflated:
        file, size = _inflated(file, head, inflate_limit)
    dataset = _dataset(file, size, forced=not has_preamble)
    header = Header(dataset)
    if not (header.text("SOPClassUID") or header.has("Rows") or header.has("DirectoryRecordSequence")):
        code = Verdict.DAMAGED_HEADER if has_preamble else Verdict.NOT_DICOM
        raise Rejected(code, "the header must say what the object is (SOP Class UID); it ends before, or says nothing")
    implicit, little = cast("tuple[bool, bool]", getattr(dataset, "original_encoding", (False, True)))
    syntax = DEFLATED if deflated else _syntax(dataset, implicit=implicit, little=little)
    at_pixels = file if file.tell() < size else None
    return Opened(header, syntax, at_pixels, size, little, has_preamble)


def _dataset(file: BinaryIO, size: int, *, forced: bool) -> DicomDataset:
    try:
        bounded = cast(BinaryIO, _Bounded(file, size))
        return filereader().read_partial(
            bounded, lambda tag, _vr, _length: tag in PIXEL_TAGS, defer_size=DEFER, force=forced, specific_tags=None
        )
    except CONTENT_ERRORS as error:
        code = Verdict.NOT_DICOM if forced else Verdict.DAMAGED_HEADER
        words = f"{type(error).__name__}: {str(error)[:200]}"
        raise Rejected(code, f"the header cannot be read to its end ({words}); fetch the file again") from error


def _looks_like_elements(head: bytes) -> bool:
    """Whether a file without preamble begins with an element of group 2 or 8, in either byte order."""
    if len(head) < 8:
        return False
    little, big = struct.unpack("<HH", head[:4]), struct.unpack(">HH", head[:4])
    return any(group in (2, 8) and element < 0x0100 for group, element in (little, big))


def _meta_syntax(head: bytes) -> str:
    """Transfer syntax in the file meta information, by its group length; empty where it is not found."""
    end = _meta_end(head)
    place = head.find(b"\x02\x00\x10\x00UI", META, end)
    if place < 0:
        return ""
    length = int.from_bytes(head[place + 6 : place + 8], "little")
    return head[place + 8 : place + 8 + length].decode("ascii", "replace").rstrip("\0 ")


def _meta_end(head: bytes) -> int:
    if head[META : META + 8] != b"\x02\x00\x00\x00UL\x04\x00":
        return META
    return META + 12 + int.from_bytes(head[META + 8 : META + 12], "little")


def _inflated(file: BinaryIO, head: bytes, limit: int) -> tuple[BinaryIO, int]:
    """The same file with its dataset inflated, at most to a limit."""
    end = _meta_end(head)
    file.seek(end)
    unzip = zlib.decompressobj(-zlib.MAX_WBITS)
    body = bytearray()
    try:
        while not unzip.eof and (packed := file.read(1 << 20)):
            body += unzip.decompress(packed, limit + 1 - len(body))
            if len(body) > limit:
                raise Rejected(
                    Verdict.TOO_LARGE,
                    f"a deflated file may become {limit >> 20} MiB; this one becomes more. Raise the limit of pixels",
                )
    except zlib.error as error:
        raise Rejected(Verdict.DAMAGED_HEADER, f"the deflated dataset is damaged ({error}); fetch it again") from error
    plain = EXPLICIT.encode().ljust(len(DEFLATED), b"\0")
    whole = head[:end].replace(DEFLATED.encode(), plain) + body
    return io.BytesIO(whole), len(whole)


def _syntax(dataset: DicomDataset, *, implicit: bool, little: bool) -> str:
    meta = getattr(dataset, "file_meta", None)
    named = Header(cast(DicomDataset, meta)).text("TransferSyntaxUID") if meta is not None else ""
    return named or (IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN)


def _of_dataset(dataset: DicomDataset) -> Opened:
    """A dataset in memory; its pixel data become a file with one element, explicit little endian in form."""
    header = Header(dataset)
    encoding = cast("tuple[bool | None, bool | None]", getattr(dataset, "original_encoding", (None, None)))
    implicit, little = bool(encoding[0]), encoding[1] is not False
    syntax = _syntax(dataset, implicit=implicit, little=little)
    value = header.raw("PixelData")
    if not isinstance(value, bytes | bytearray) or not value:
        return Opened(header, syntax, None, 0, little)
    undefined = value[:4] == b"\xfe\xff\x00\xe0" and syntax not in (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)
    length = 0xFFFFFFFF if undefined else min(len(value), 0xFFFFFFFE)
    order = "<" if little else ">"
    kind = b"OB" if getattr(dataset.get(PIXEL_TAGS[-1]), "VR", "") == "OB" else b"OW"
    element = struct.pack(f"{order}HH2sHL", 0x7FE0, 0x0010, kind, 0, length)
    file = io.BytesIO(element + value)
    return Opened(header, syntax, file, len(element) + len(value), little)
