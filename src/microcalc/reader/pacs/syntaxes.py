"""The transfer syntaxes that images are received and sent in: all that `microcalc.intake.dicom` decodes."""

from typing import Final

from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

__all__ = ["NATIVE", "TRANSFER_SYNTAXES"]

NATIVE: Final = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
"""Uncompressed; every DICOM application understands the second."""

TRANSFER_SYNTAXES: Final = (
    *NATIVE,
    str(RLELossless),
    str(JPEGLosslessSV1),
    str(JPEGLossless),
    str(JPEG2000Lossless),
    str(JPEGLSLossless),
    str(JPEGBaseline8Bit),
    str(JPEGExtended12Bit),
    str(JPEG2000),
    str(JPEGLSNearLossless),
    str(ExplicitVRBigEndian),
    str(DeflatedExplicitVRLittleEndian),
)
