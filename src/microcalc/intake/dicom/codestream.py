"""What a JPEG, JPEG-LS or JPEG 2000 codestream says of its own size, read from its markers.

A codec gives memory to what the codestream claims, not to what the DICOM header says; so the two are compared first.
Sources: ITU-T T.81 B.2.2 (frame header), T.87 C.2.2, T.800 A.5.1 (SIZ).
"""

import struct

from microcalc.intake.dicom.library import Rejected
from microcalc.intake.dicom.pixel_format import PixelFormat
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["J2K_START", "SEARCHED", "check_codestream", "codestream_size", "is_irreversible"]

JPEG_START = b"\xff\xd8"
J2K_START = b"\xff\x4f\xff\x51"
COD = b"\xff\x52"
JP2_START = b"\x00\x00\x00\x0cjP  "

MAIN_HEADER = 4096
"""Bytes in which the coding style of a JPEG 2000 codestream is looked for; it follows the size closely."""

_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""SOF of JPEG, without the tables DHT, JPG and DAC, and SOF of JPEG-LS."""

_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""

SEARCHED = 1 << 20
"""Bytes in which the codestream of a JP2 file is looked for."""


def check_codestream(frame: bytes, form: PixelFormat) -> None:
    """Compare a codestream's own rows, columns and components with the header.

    Raises:
        Rejected: they differ, or the codestream has none.
    """
    found = codestream_size(frame)
    if found is None:
        raise Rejected(
            Verdict.DAMAGED_PIXELS, "a compressed frame must begin with a JPEG or JPEG 2000 header; it does not"
        )
    rows, cols, components = found
    if components != 1:
        raise Rejected(Verdict.COLOUR, f"a mammogram has one value per pixel; the compressed frame has {components}")
    if (rows, cols) != (form.rows, form.cols):
        raise Rejected(
            Verdict.DAMAGED_PIXELS,
            f"the compressed frame says {rows} x {cols} pixels, the header {form.rows} x {form.cols}; they must agree",
        )


def codestream_size(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components, or None where no header is found."""
    if frame.startswith(JPEG_START):
        return _of_jpeg(frame)
    start = 0
    if frame.startswith(JP2_START):
        start = frame.find(J2K_START, 0, SEARCHED)
    return _of_jpeg2000(frame[start : start + 64]) if start >= 0 and frame[start : start + 4] == J2K_START else None


def is_irreversible(frame: bytes) -> bool:
    """Whether a JPEG 2000 codestream uses the 9-7 transform, which loses (T.800 A.6.1, COD)."""
    start = frame.find(J2K_START, 0, SEARCHED)
    place = frame.find(COD, start, start + MAIN_HEADER) if start >= 0 else -1
    return place >= 0 and frame[place + 13 : place + 14] == b"\0"


def _of_jpeg(frame: bytes) -> tuple[int, int, int] | None:
    place = 2
    while place + 4 <= len(frame):
        if frame[place] != 0xFF:
            return None
        marker = frame[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _FRAME_MARKERS:
            if place + 10 > len(frame):
                return None
            rows, cols, components = struct.unpack(">HHB", frame[place + 5 : place + 10])
            return rows, cols, components
        else:
            place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
    return None


def _of_jpeg2000(head: bytes) -> tuple[int, int, int] | None:
    if len(head) < 42:
        return None
    right, bottom, left, top = struct.unpack(">LLLL", head[8:24])
    components = int.from_bytes(head[40:42], "big")
    return bottom - top, right - left, components
