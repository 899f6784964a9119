"""From an opened file to its stored values, by the transfer syntax.

What a codestream says of its own size is compared with the header before memory is given to it
(`microcalc.intake.dicom.codestream`).
"""

from microcalc.intake.dicom.codecs import READERS, Stored, of_bytes
from microcalc.intake.dicom.codestream import check_codestream, is_irreversible
from microcalc.intake.dicom.frame import read_frame
from microcalc.intake.dicom.library import CONTENT_ERRORS, Rejected
from microcalc.intake.dicom.pixel_format import PixelFormat
from microcalc.intake.dicom.source import Opened
from microcalc.intake.dicom.syntaxes import Family, check_syntax
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["decode"]


def decode(opened: Opened, form: PixelFormat) -> tuple[Stored, bool]:
    """Stored values of the only frame, without the bits that do not belong to them.

    Returns:
        (rows, cols), of ``form.dtype``, may be read-only; and whether the codestream itself says that it has lost.

    Raises:
        Rejected: see the verdicts about pixels.
    """
    syntax = check_syntax(opened.transfer_syntax)
    frame = read_frame(opened, form, compressed=bool(syntax.package))
    if syntax.family == Family.PLAIN:
        return of_bytes(frame, form, little_endian=opened.little_endian), False
    if syntax.family == Family.GE:
        return of_bytes(frame, form, little_endian=False), False
    if syntax.family != Family.RLE:
        check_codestream(frame, form)
    try:
        stored = READERS[syntax.family](frame, form, opened.transfer_syntax)
        return stored, syntax.family == Family.JPEG2000 and is_irreversible(frame)
    except Rejected:
        raise
    except CONTENT_ERRORS as error:
        raise Rejected(
            Verdict.DAMAGED_PIXELS,
            f"{syntax.title} pixels cannot be decoded ({type(error).__name__}: {str(error)[:200]}); "
            "fetch the file again",
        ) from error
