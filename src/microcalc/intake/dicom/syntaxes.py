"""The transfer syntaxes that are read, and what decodes each.

Licences of what decodes: pylibjpeg-rle and pylibjpeg-openjpeg MIT, python-gdcm Apache 2.0 around GDCM's BSD. Nothing
under the GPL is asked for; so pylibjpeg-libjpeg is not.
"""

from dataclasses import dataclass
from enum import StrEnum

from microcalc.intake.dicom.library import INSTALL, Rejected, codec, pydicom_module
from microcalc.intake.dicom.source import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["JPEG_EXTENDED", "SYNTAXES", "Family", "Syntax", "check_syntax"]


class Family(StrEnum):
    """Which reader a transfer syntax needs."""

    PLAIN = "plain"
    GE = "little endian with pixels in big endian"
    RLE = "rle"
    JPEG = "jpeg"
    JPEG2000 = "jpeg2000"


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
    family: Family
    package: str = ""
    lossy: bool = False


SYNTAXES: dict[str, Syntax] = {
    IMPLICIT: Syntax("Implicit VR Little Endian", Family.PLAIN),
    EXPLICIT: Syntax("Explicit VR Little Endian", Family.PLAIN),
    DEFLATED: Syntax("Deflated Explicit VR Little Endian", Family.PLAIN),
    BIG_ENDIAN: Syntax("Explicit VR Big Endian", Family.PLAIN),
    "1.2.840.113619.5.2": Syntax("GE private: little endian, pixels big endian", Family.GE),
    "1.2.840.10008.1.2.5": Syntax("RLE Lossless", Family.RLE, "pylibjpeg-rle"),
    "1.2.840.10008.1.2.4.50": Syntax("JPEG Baseline", Family.JPEG, "python-gdcm", lossy=True),
    "1.2.840.10008.1.2.4.51": Syntax("JPEG Extended", Family.JPEG, "python-gdcm", lossy=True),
    "1.2.840.10008.1.2.4.57": Syntax("JPEG Lossless, Process 14", Family.JPEG, "python-gdcm"),
    "1.2.840.10008.1.2.4.70": Syntax("JPEG Lossless, Process 14, Selection Value 1", Family.JPEG, "python-gdcm"),
    "1.2.840.10008.1.2.4.80": Syntax("JPEG-LS Lossless", Family.JPEG, "python-gdcm"),
    "1.2.840.10008.1.2.4.81": Syntax("JPEG-LS Near-Lossless", Family.JPEG, "python-gdcm", lossy=True),
    "1.2.840.10008.1.2.4.90": Syntax("JPEG 2000 Lossless Only", Family.JPEG2000, "pylibjpeg-openjpeg"),
    "1.2.840.10008.1.2.4.91": Syntax("JPEG 2000", Family.JPEG2000, "pylibjpeg-openjpeg"),
    "1.2.840.10008.1.2.4.201": Syntax("High-Throughput JPEG 2000 Lossless Only", Family.JPEG2000, "pylibjpeg-openjpeg"),
    "1.2.840.10008.1.2.4.202": Syntax("HTJ2K with RPCL Lossless Only", Family.JPEG2000, "pylibjpeg-openjpeg"),
    "1.2.840.10008.1.2.4.203": Syntax("High-Throughput JPEG 2000", Family.JPEG2000, "pylibjpeg-openjpeg"),
}
"""Every transfer syntax that is read; video, JPIP, JPEG XL and private ones are not."""

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


def check_syntax(uid: str) -> Syntax:
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
    if not _available(uid, syntax):
        raise Rejected(
            Verdict.CODEC_MISSING,
            f"{syntax.title} is decoded by the package {syntax.package}, which is not installed: "
            f"pip install {syntax.package} (or {INSTALL})",
        )
    return syntax


def _available(uid: str, syntax: Syntax) -> bool:
    if syntax.family == Family.JPEG:
        return bool(pydicom_module("pydicom.pixels").get_decoder(uid).is_available)
    if syntax.family == Family.JPEG2000:
        return codec("openjpeg") is not None
    return True  # pydicom itself decodes RLE, slowly, where the package is not there
