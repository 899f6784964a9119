"""The bytes of one frame out of a file: as many as the format asks for, never more than it can need.

An uncompressed frame is one run of bytes; a compressed one lies in items, whose lengths are checked against what the
file has before they are read. Nothing is decoded here.
"""

import struct
from typing import BinaryIO

import numpy as np

from microcalc.intake.dicom.library import Rejected
from microcalc.intake.dicom.pixel_format import PixelFormat
from microcalc.intake.dicom.source import Opened
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["UNDEFINED", "read_frame", "skip_to_value"]

UNDEFINED = 0xFFFFFFFF
ITEM = (0xFFFE, 0xE000)
END = (0xFFFE, 0xE0DD)

WORDS = b"OW"
REPRESENTATIONS = (b"OB", WORDS, b"UN")
"""Value representations of pixel data."""

MOST_ITEMS = 100_000
SLACK = 1 << 16
"""Bytes by which the compressed form of a tiny image may exceed twice its plain form."""


def read_frame(opened: Opened, form: PixelFormat, *, compressed: bool) -> bytes:
    """Bytes of the only frame.

    Args:
        opened: its file stands at the pixel data.
        form: what the header says.
        compressed: by the transfer syntax.

    Raises:
        Rejected: no pixels, another length than declared, or the file ends before.
    """
    if opened.file is None:
        raise Rejected(
            Verdict.NO_PIXEL_DATA,
            f"pixel data (7FE0,0010) of {form.rows} x {form.cols} pixels must follow the header; nothing follows. "
            "Fetch the file again, with its pixels",
        )
    length, kind = skip_to_value(opened, opened.file)
    if compressed:
        return _compressed(opened.file, opened.size, form)
    # PS3.5 7.3: big endian turns the bytes of a word around, and with OW a word holds two pixels of 8 bits.
    turned = kind == WORDS and not opened.little_endian and form.allocated == 8
    return _plain(opened.file, opened.size, length, form, turned=turned)


def skip_to_value(opened: Opened, file: BinaryIO) -> tuple[int, bytes]:
    """Move from the element of the pixel data to its value.

    Returns:
        The length that it declares, and its value representation; empty where it is implicit.

    Raises:
        Rejected: the element is no Pixel Data, or is cut off.
    """
    order = "<" if opened.little_endian else ">"
    head = file.read(8)
    # What stands there counts, not what the transfer syntax says: some devices write one and mean the other. An
    # implicit length that looks like a representation would be longer than 65,535, so its upper half is not 0.
    explicit = head[4:6] in REPRESENTATIONS and head[6:8] == b"\0\0"
    head += file.read(4) if explicit else b""
    if len(head) < (12 if explicit else 8):
        raise Rejected(Verdict.NO_PIXEL_DATA, "the file ends in the first bytes of its pixel data; fetch it again")
    group, element = struct.unpack(f"{order}HH", head[:4])
    if (group, element) != (0x7FE0, 0x0010):
        raise Rejected(
            Verdict.PIXEL_FORMAT,
            f"the pixels must be integers in Pixel Data (7FE0,0010); this file has ({group:04X},{element:04X})",
        )
    return int(struct.unpack(f"{order}L", head[-4:])[0]), head[4:6] if explicit else b""


def _plain(file: BinaryIO, size: int, length: int, form: PixelFormat, *, turned: bool) -> bytes:
    wanted = form.bytes
    asked = f"{form.rows} x {form.cols} pixels of {form.allocated} bits need {wanted:,} bytes"
    if length == UNDEFINED:
        raise Rejected(
            Verdict.WRONG_LENGTH,
            f"{asked}, but the length is left open, as only compressed pixels have it; the transfer syntax is wrong",
        )
    there = size - file.tell()
    if there < min(length, wanted):
        raise Rejected(Verdict.TRUNCATED, f"{asked}; the file ends after {there:,}. Fetch it again")
    if not wanted <= length <= wanted + 1:
        raise Rejected(Verdict.WRONG_LENGTH, f"{asked}; the pixel data have {length:,}")
    if not turned:
        return file.read(wanted)
    whole = wanted + wanted % 2  # the last pixel of an odd number stands behind its padding
    words = file.read(whole).ljust(whole, b"\0")
    return np.frombuffer(words, "<u2").byteswap().tobytes()[:wanted]


def _compressed(file: BinaryIO, size: int, form: PixelFormat) -> bytes:
    """The items after the offset table, joined."""
    most = 2 * form.bytes + SLACK
    parts: list[bytes] = []
    total = 0
    for number in range(MOST_ITEMS):
        length = _item(file, size, number)
        if length is None:
            break
        if number == 0:
            file.seek(length, 1)  # offset table: there is one frame, so nothing to look up
            continue
        total += length
        if total > most:
            raise Rejected(
                Verdict.WRONG_LENGTH,
                f"{form.rows} x {form.cols} pixels of {form.allocated} bits need at most {most:,} bytes, compressed "
                f"or not; the items have more than {total:,}",
            )
        parts.append(file.read(length))
    if not total:
        raise Rejected(Verdict.NO_PIXEL_DATA, "compressed pixels must stand in items after the header; there are none")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _item(file: BinaryIO, size: int, number: int) -> int | None:
    """Length of the next item, or None after the last."""
    head = file.read(8)
    if not head and number > 1:  # a writer that forgot the delimiter; whether the frame is whole, the decoder says
        return None
    if len(head) < 8:
        raise Rejected(Verdict.TRUNCATED, "the file ends between the items of its pixel data; fetch it again")
    group, element, length = struct.unpack("<HHL", head)
    if (group, element) == END:
        return None
    if (group, element) != ITEM:
        raise Rejected(
            Verdict.WRONG_LENGTH,
            f"compressed pixels must stand in items (FFFE,E000); at item {number} stands ({group:04X},{element:04X})",
        )
    there = size - file.tell()
    if length > there:
        raise Rejected(
            Verdict.TRUNCATED, f"item {number} of the pixel data has {length:,} bytes; the file ends after {there:,}"
        )
    return int(length)
