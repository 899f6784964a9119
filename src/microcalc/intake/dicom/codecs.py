"""From the bytes of a frame to stored values: the readers of each family of transfer syntaxes.

RLE and JPEG 2000 go straight to their codecs, which keep their heads with damaged frames; JPEG and JPEG-LS to a process
of their own (`microcalc.intake.dicom.apart`).
"""

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.dicom.apart import decode_apart
from microcalc.intake.dicom.codestream import J2K_START, SEARCHED
from microcalc.intake.dicom.library import Rejected, codec
from microcalc.intake.dicom.pixel_format import PixelFormat
from microcalc.intake.dicom.syntaxes import JPEG_EXTENDED, Family
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["READERS", "Stored", "of_bytes"]

Stored = NDArray[np.integer]
"""(rows, cols) stored values."""


def of_bytes(frame: bytes | bytearray, form: PixelFormat, *, little_endian: bool) -> Stored:
    """Stored values of uncompressed bytes.

    Args:
        frame: at least as many bytes as the format asks for.
        form: shape and encoding.
        little_endian: byte order of the pixels.

    Returns:
        (rows, cols), without the bits that do not belong to the values; may be read-only.
    """
    kind = form.dtype.newbyteorder("<" if little_endian else ">")
    values = np.frombuffer(frame, dtype=kind, count=form.rows * form.cols).reshape(form.rows, form.cols)
    if not little_endian:
        values = values.astype(form.dtype)
    return _only_stored_bits(values, form)


def _only_stored_bits(values: Stored, form: PixelFormat) -> Stored:
    """Without overlay bits above or below; negative values keep their sign."""
    above = form.allocated - 1 - form.high_bit
    below = form.high_bit + 1 - form.stored
    if not above and not below:
        return values
    values = values.copy() if not values.flags.writeable else values
    if not form.signed:
        if below:
            np.right_shift(values, below, out=values)
        np.bitwise_and(values, (1 << form.stored) - 1, out=values)
        return values
    np.left_shift(values, above, out=values)
    np.right_shift(values, above + below, out=values)  # arithmetic, so the sign is spread
    return values


def _rle(frame: bytes, form: PixelFormat, uid: str) -> Stored:
    rle = codec("rle.rle")
    if rle is None:
        return _fitted(decode_apart(frame, form, uid), form)
    try:
        plain = rle.decode_frame(frame, form.rows * form.cols, form.allocated, "<")
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of the codec's Rust; no Exception
            raise ValueError(f"the RLE codec gave up: {error}") from error
        raise
    return of_bytes(plain, form, little_endian=True)


def _jpeg2000(frame: bytes, form: PixelFormat, _uid: str) -> Stored:
    openjpeg = codec("openjpeg")
    if openjpeg is None:
        raise ValueError("openjpeg is gone")
    start = max(frame.find(J2K_START, 0, SEARCHED), 0)  # without the JP2 boxes, whose own sizes nobody has checked
    return _fitted(cast(Stored, openjpeg.decode(frame[start:] if start else frame)), form)


def _jpeg(frame: bytes, form: PixelFormat, uid: str) -> Stored:
    if uid == JPEG_EXTENDED and form.allocated == 16 and codec("gdcm") is None:
        words = "JPEG Extended with more than 8 bits is decoded by the package python-gdcm, which is not installed"
        raise Rejected(Verdict.CODEC_MISSING, f"{words}: pip install python-gdcm")
    return _fitted(decode_apart(frame, form, uid), form)


def _fitted(values: Stored, form: PixelFormat) -> Stored:
    """What a codec gave, in the shape and type that the header promises."""
    if values.shape != (form.rows, form.cols):
        raise ValueError(f"the codec gave {values.shape}; the header says ({form.rows}, {form.cols})")
    same = values.dtype.itemsize == form.dtype.itemsize
    values = values.view(form.dtype) if same else values.astype(form.dtype)
    if not form.signed or form.stored == form.allocated:
        return values
    # A codestream may call values unsigned that the header calls signed: their sign is in the highest stored bit.
    above = form.allocated - form.stored
    return np.right_shift(np.left_shift(values, above), above)


READERS: Mapping[Family, Callable[[bytes, PixelFormat, str], Stored]] = {
    Family.RLE: _rle,
    Family.JPEG: _jpeg,
    Family.JPEG2000: _jpeg2000,
}
"""Reader of each compressed family: frame, format and transfer syntax to stored values. Raises on bad content."""
