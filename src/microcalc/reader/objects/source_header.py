"""The image that a report speaks of: its file opened as the intake opens it, and of that a small clean header.

Files of the wild lack elements, hold values that DICOM does not allow, have text in any character set and private
elements. The objects that we write take from them only what is listed here, in UTF-8: what cannot be right is left
out. Only the patient's ID and name stay as they are, right or not: the archive knows the patient by them.
"""

import math
import re
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Final

from pydicom import Dataset, config, dcmread
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.valuerep import validate_value

from microcalc.errors import ImageError
from microcalc.intake.dicom.library import CONTENT_ERRORS, quiet
from microcalc.reader.objects.uids import is_uid

__all__ = ["UTF_8", "open_source_image", "source_header"]

UTF_8: Final = "ISO_IR 192"

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_NEEDED = (*_UIDS, "Rows", "Columns")
_PATIENT = ("PatientID", "PatientName")

_EMPTY_WHERE_UNKNOWN = (
    *_PATIENT, "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    "ReferringPhysicianName",
)  # fmt: skip
"""Type 2 elements of the patient and the study: they must be there, with or without a value."""

_VOI = ("VOILUTSequence", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction")
_MODALITY = ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType")
_DEIDENTIFIED = ("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence")

_TAKEN = (
    *_NEEDED, *_EMPTY_WHERE_UNKNOWN, *_VOI, *_MODALITY, *_DEIDENTIFIED,
    "PatientAge", "StudyDescription", "IssuerOfPatientID", "Modality", "PhotometricInterpretation", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames", "PixelSpacing", "ImagerPixelSpacing",
    "Laterality", "ImageLaterality", "PatientOrientation", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)  # fmt: skip
"""The frame of reference is not: a projection says nowhere where its plane lies in it."""

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_SEXES = ("", "M", "F", "O")
_POLARITIES = ("MONOCHROME1", "MONOCHROME2")
_DIRECTION = re.compile(r"[LRAPHF]{1,3}")
_TABLE = ("LUTDescriptor", "LUTData")
_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")


def open_source_image(path: Path) -> Dataset:
    """Open an image that `microcalc.intake.dicom` has accepted; like it, with or without the preamble of PS3.10.

    Raises:
        ImageError: it cannot be read any more.
    """
    try:
        with quiet():
            return dcmread(path, force=True)
    except CONTENT_ERRORS as error:
        raise ImageError(
            f"the image must be there and readable before a report can refer to it; opening it ended with "
            f"{type(error).__name__}. Bring the file back"
        ) from error


def source_header(source: Dataset) -> Dataset:
    """The elements of an image that the objects about it take over, clean and in UTF-8.

    Args:
        source: header of the image, with or without pixels.

    Raises:
        ImageError: it lacks what identifies it.
    """
    header = Dataset()
    with quiet():
        for keyword in _TAKEN:
            _take(source, header, keyword)
        missing = [keyword for keyword in _NEEDED if not header.get(keyword)]
        missing += [keyword for keyword in _UIDS if keyword not in missing and not is_uid(str(header.get(keyword)))]
        if missing:
            raise ImageError(
                f"an image must have {', '.join(_NEEDED)} before a report can refer to it; it lacks "
                f"{', '.join(missing)}. Take the image from the PACS, not from an export"
            )
        _complete(header)
        _one_window(header)
        _one_rescale(header)
        _one_pseudonymisation(header)
    return header


def _take(source: Dataset, header: Dataset, keyword: str) -> None:
    """Take an element over if its value is one that DICOM allows there."""
    try:
        value = source.get(keyword)
        if value in (None, ""):
            return
        if keyword == "PatientName" and isinstance(value, MultiValue):
            value = value[0]
        taken = str(value) if keyword.endswith("Name") or keyword in _UIDS else value
        if keyword not in (*_PATIENT, *_UIDS) and not _allowed(keyword, taken):
            return
        setattr(header, keyword, taken)
    except CONTENT_ERRORS:  # whatever is wrong with it, it is left out
        return


def _allowed(keyword: str, value: object) -> bool:
    tag = tag_for_keyword(keyword)
    if tag is None:
        return False
    several = isinstance(value, MultiValue | list)
    if several and dictionary_VM(tag) == "1":
        return False
    vr = dictionary_VR(tag)
    for one in value if isinstance(value, Iterable) and several else [value]:
        validate_value(vr, one, config.RAISE)
        if vr == "DA" and len(str(one)) != len("YYYYMMDD"):
            return False  # ranges are for queries
    return True


def _complete(header: Dataset) -> None:
    for keyword in _EMPTY_WHERE_UNKNOWN:
        if keyword not in header:
            setattr(header, keyword, "")
    if header.PatientSex not in _SEXES:
        header.PatientSex = ""
    header.SpecificCharacterSet = UTF_8
    header.SamplesPerPixel = 1
    header.Modality = header.get("Modality") or "MG"
    if header.get("PhotometricInterpretation") not in _POLARITIES:
        header.PhotometricInterpretation = "MONOCHROME2"
    directions = header.get("PatientOrientation") or ()
    if len(directions) != 2 or not all(_DIRECTION.fullmatch(str(direction)) for direction in directions):
        header.PatientOrientation = None  # CBIS-DDSM has the view here
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        if keyword in header and not all(v > 0 for v in _numbers(header.get(keyword))):
            delattr(header, keyword)


def _drop(header: Dataset, keywords: Iterable[str]) -> None:
    for keyword in keywords:
        if keyword in header:
            delattr(header, keyword)


def _one_window(header: Dataset) -> None:
    """Keep the table or window that `microcalc.intake.dicom` applies, the first; drop what cannot be used."""
    tables = [item for item in header.get("VOILUTSequence") or () if _has(item, _TABLE)]
    centers, widths = (_numbers(header.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    names = header.get("WindowCenterWidthExplanation") or ""
    usable = [(c, w) for c, w in zip(centers, widths, strict=False) if math.isfinite(c) and w >= 1]
    function = header.get("VOILUTFunction")
    _drop(header, _VOI)
    if tables:
        header.VOILUTSequence = [_table(tables[0])]
    elif usable:
        header.WindowCenter, header.WindowWidth = usable[0]
        if usable[0] == (centers[0], widths[0]) and names:
            header.WindowCenterWidthExplanation = names if isinstance(names, str) else str(names[0])
        if function in _FUNCTIONS:
            header.VOILUTFunction = function


def _one_rescale(header: Dataset) -> None:
    """Keep the modality transformation only if it is whole."""
    tables = [item for item in header.get("ModalityLUTSequence") or () if _has(item, (*_TABLE, "ModalityLUTType"))]
    slope, intercept = (_numbers(header.get(keyword)) for keyword in ("RescaleSlope", "RescaleIntercept"))
    kind = header.get("RescaleType") or "US"
    _drop(header, _MODALITY)
    if tables:
        header.ModalityLUTSequence = [_table(tables[0])]
    elif len(slope) == len(intercept) == 1 and slope[0] != 0 and math.isfinite(slope[0] + intercept[0]):
        header.RescaleSlope, header.RescaleIntercept, header.RescaleType = slope[0], intercept[0], kind


def _table(item: Dataset) -> Dataset:
    """A lookup table whose words are in the byte order that we write; pydicom keeps those of a big-endian file."""
    data = item.LUTData
    if not isinstance(data, bytes) or getattr(item, "original_encoding", (None, None))[1] is not False:
        return item
    swapped = deepcopy(item)
    swapped.LUTData = b"".join(data[at : at + 2][::-1] for at in range(0, len(data), 2))
    return swapped


def _one_pseudonymisation(header: Dataset) -> None:
    """That names were removed is said only together with how, as DICOM asks for (PS3.3 C.7.1.1)."""
    codes = header.get("DeidentificationMethodCodeSequence") or ()
    if codes and not all(_has(code, _CODE) for code in codes):
        _drop(header, ["DeidentificationMethodCodeSequence"])
    if "DeidentificationMethod" not in header and "DeidentificationMethodCodeSequence" not in header:
        _drop(header, ["PatientIdentityRemoved"])


def _has(item: Dataset, keywords: Iterable[str]) -> bool:
    return all(item.get(keyword) not in (None, "") for keyword in keywords)


def _numbers(value: object) -> list[float]:
    """Values of an element with one or several numbers."""
    several = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    return [float(str(v)) for v in several if v not in (None, "")]
