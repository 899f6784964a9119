"""The mark of a made-up image: text chunks in its PNG file, so that it says what it is wherever it is taken.

Phantoms are drawn with the mark, and intake finds it again. What a cohort does about it is not decided here.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["SYNTHETIC_TEXTS", "says_synthetic", "text_chunks", "with_mark"]

SYNTHETIC_TEXTS = {
    "Title": "SYNTHETIC microcalcification phantom",
    "Comment": "Made up by microcalc; not a patient. Research use only.",
}
"""Keywords and texts of the mark, Latin-1."""

_MAGIC = b"\x89PNG\r\n\x1a\n"
_HEADER = len(_MAGIC) + 25
"""Bytes up to the end of the first chunk, IHDR: length, kind, 13 bytes, checksum."""

_TELLING = b"SYNTHETIC"
_TEXT_KINDS = (b"tEXt", b"iTXt")
_MAX_TEXT = 1 << 16


def text_chunks() -> bytes:
    """The mark as PNG chunks."""
    texts = [f"{key}\0{value}".encode("latin-1") for key, value in SYNTHETIC_TEXTS.items()]
    return b"".join(
        struct.pack(">I", len(text)) + b"tEXt" + text + struct.pack(">I", zlib.crc32(b"tEXt" + text)) for text in texts
    )


def with_mark(png: bytes) -> bytes:
    """A PNG file with the mark after its header."""
    return png[:_HEADER] + text_chunks() + png[_HEADER:]


def says_synthetic(path: Path) -> bool:
    """Tell whether a file is a PNG whose title says SYNTHETIC, as phantoms have it; false where it cannot be read."""
    try:
        with path.open("rb") as file:
            return any(text.startswith(b"Title\0") and _TELLING in text for text in _texts(file))
    except OSError:
        return False


def _texts(file: BinaryIO) -> Iterator[bytes]:
    """Content of the text chunks of a PNG file, wherever they stand; the others are stepped over."""
    if file.read(len(_MAGIC)) != _MAGIC:
        return
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind in _TEXT_KINDS and size <= _MAX_TEXT:
            yield file.read(size)
            file.seek(4, 1)
        else:
            file.seek(size + 4, 1)
