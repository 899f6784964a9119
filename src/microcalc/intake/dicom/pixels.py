"""From the bytes of a frame to stored values, by the transfer syntax.

RLE and JPEG 2000 go straight to their codecs, the others through pydicom's decoders. What a codestream says of its
own size is compared with the header before memory is given to it (`microcalc.intake.dicom.codestream`).
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.dicom.codestream import check_codestream
from microcalc.intake.dicom.frame import read_frame
from microcalc.intake.dicom.library import CONTENT_ERRORS, INSTALL, Rejected, codec, pydicom_module
from microcalc.intake.dicom.pixel_format import PixelFormat
from microcalc.intake.dicom.source import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, Opened
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["SYNTAXES", "Syntax", "check_syntax", "decode"]

Stored = NDArray[np.integer]
"""(rows, cols) stored values."""


@dataclass(frozen=True)
class Syntax:
    """How a transfer syntax is read.

    Attributes:
        title: DICOM's name, short.
        family: which reader.
        package: what decodes it; empty where nothing is needed.
        lossy: by its definition.
    """

    title: str
    family: str
    package: str = ""
    lossy: bool = False


SYNTAXES: dict[str, Syntax] = {
    IMPLICIT: Syntax("Implicit VR Little Endian", "plain"),
    EXPLICIT: Syntax("Explicit VR Little Endian", "plain"),
    DEFLATED: Syntax("Deflated Explicit VR Little Endian", "plain"),
    BIG_ENDIAN: Syntax("Explicit VR Big Endian", "plain"),
    "1.2.840.113619.5.2": Syntax("GE private: little endian, pixels big endian", "ge"),
    "1.2.840.10008.1.2.5": Syntax("RLE Lossless", "rle", "pylibjpeg-rle"),
    "1.2.840.10008.1.2.4.50": Syntax("JPEG Baseline", "jpeg", "python-gdcm", lossy=True),
    "1.2.840.10008.1.2.4.51": Syntax("JPEG Extended", "jpeg", "python-gdcm", lossy=True),
    "1.2.840.10008.1.2.4.57": Syntax("JPEG Lossless, Process 14", "jpeg", "python-gdcm"),
    "1.2.840.10008.1.2.4.70": Syntax("JPEG Lossless, Process 14, Selection Value 1", "jpeg", "python-gdcm"),
    "1.2.840.10008.1.2.4.80": Syntax("JPEG-LS Lossless", "jpeg", "python-gdcm"),
    "1.2.840.10008.1.2.4.81": Syntax("JPEG-LS Near-Lossless", "jpeg", "python-gdcm", lossy=True),
    "1.2.840.10008.1.2.4.90": Syntax("JPEG 2000 Lossless Only", "jpeg2000", "pylibjpeg-openjpeg"),
    "1.2.840.10008.1.2.4.91": Syntax("JPEG 2000", "jpeg2000", "pylibjpeg-openjpeg"),
    "1.2.840.10008.1.2.4.201": Syntax("High-Throughput JPEG 2000 Lossless Only", "jpeg2000", "pylibjpeg-openjpeg"),
    "1.2.840.10008.1.2.4.202": Syntax("HTJ2K with RPCL Lossless Only", "jpeg2000", "pylibjpeg-openjpeg"),
    "1.2.840.10008.1.2.4.203": Syntax("High-Throughput JPEG 2000", "jpeg2000", "pylibjpeg-openjpeg"),
}
"""Every transfer syntax that is read; video, JPIP, JPEG XL and private ones are not."""

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


def check_syntax(uid: str, form: PixelFormat) -> Syntax:
    """The transfer syntax, if it can be read here and now.

    Raises:
        Rejected: it is not read, or its codec is not installed.
    """
    syntax = SYNTAXES.get(uid)
    if syntax is None:
        known = ", ".join(s.title for s in SYNTAXES.values())
        raise Rejected(
            Verdict.TRANSFER_SYNTAX,
            f"the pixels are encoded with {uid or 'an unnamed transfer syntax'}; read are: {known}. "
            "Convert the file, e.g. with gdcmconv --raw",
        )
    if uid == JPEG_EXTENDED and form.stored > 8:
        raise Rejected(
            Verdict.TRANSFER_SYNTAX,
            f"JPEG Extended is read with 8 bits; this image has {form.stored}, for which there is no codec under a "
            "permissive licence. Convert the file, e.g. with dcmdjpeg of DCMTK",
        )
    if not _available(uid, syntax):
        raise Rejected(
            Verdict.CODEC_MISSING,
            f"{syntax.title} is decoded by the package {syntax.package}, which is not installed: "
            f"pip install {syntax.package} (or {INSTALL})",
        )
    return syntax


def _available(uid: str, syntax: Syntax) -> bool:
    if syntax.family == "jpeg":
        return bool(pydicom_module("pydicom.pixels").get_decoder(uid).is_available)
    if syntax.family == "jpeg2000":
        return codec("openjpeg") is not None
    return True  # pydicom itself decodes RLE, slowly, where the package is not there


def decode(opened: Opened, form: PixelFormat) -> Stored:
    """Stored values of the only frame, without the bits that do not belong to them.

    Returns:
        (rows, cols), of ``form.dtype``; may be read-only.

    Raises:
        Rejected: see the verdicts about pixels.
    """
    syntax = check_syntax(opened.transfer_syntax, form)
    frame = read_frame(opened, form, compressed=bool(syntax.package))
    if syntax.family == "plain":
        return _of_bytes(frame, form, little_endian=opened.little_endian)
    if syntax.family == "ge":
        return _of_bytes(frame, form, little_endian=False)
    if syntax.family != "rle":
        check_codestream(frame, form)
    try:
        return _READERS[syntax.family](frame, form, opened.transfer_syntax)
    except CONTENT_ERRORS as error:
        raise Rejected(
            Verdict.DAMAGED_PIXELS,
            f"{syntax.title} pixels cannot be decoded ({type(error).__name__}: {str(error)[:200]}); "
            "fetch the file again",
        ) from error


def _of_bytes(frame: bytes | bytearray, form: PixelFormat, *, little_endian: bool) -> Stored:
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
        return _by_pydicom(frame, form, uid)
    try:
        plain = rle.decode_frame(frame, form.rows * form.cols, form.allocated, "<")
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of the codec's Rust; no Exception
            raise ValueError(f"the RLE codec gave up: {error}") from error
        raise
    return _of_bytes(plain, form, little_endian=True)


def _jpeg2000(frame: bytes, form: PixelFormat, _uid: str) -> Stored:
    openjpeg = codec("openjpeg")
    if openjpeg is None:
        raise ValueError("openjpeg is gone")
    values = cast(Stored, openjpeg.decode(frame))
    return _fitted(values, form)


def _by_pydicom(frame: bytes, form: PixelFormat, uid: str) -> Stored:
    decoder = pydicom_module("pydicom.pixels").get_decoder(uid)
    item = b"\xfe\xff\x00\xe0" + bytes(4) + b"\xfe\xff\x00\xe0" + (len(frame) + len(frame) % 2).to_bytes(4, "little")
    values, _ = decoder.as_array(
        item + frame + bytes(len(frame) % 2),
        raw=True,
        index=0,
        rows=form.rows,
        columns=form.cols,
        samples_per_pixel=1,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=form.allocated,
        bits_stored=form.stored,
        pixel_representation=int(form.signed),
        number_of_frames=1,
        pixel_keyword="PixelData",
        transfer_syntax_uid=uid,
    )
    return _fitted(values, form)


def _fitted(values: Stored, form: PixelFormat) -> Stored:
    """What a codec gave, in the shape and type that the header promises."""
    if values.shape != (form.rows, form.cols):
        raise ValueError(f"the codec gave {values.shape}; the header says ({form.rows}, {form.cols})")
    if values.dtype == form.dtype:
        return values
    if values.dtype.itemsize == form.dtype.itemsize:
        return values.view(form.dtype)
    return values.astype(form.dtype)


_READERS = {"rle": _rle, "jpeg2000": _jpeg2000, "jpeg": _by_pydicom}
