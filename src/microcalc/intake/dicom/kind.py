"""What kind of object a header describes, and the refusals of everything that is not one mammogram.

The order of the rules is the order of the verdicts: the first that applies is the one that is given. Sources: DICOM
PS3.4 B.5 (SOP classes), PS3.3 C.8.11.7.1.4 (Image Type of mammograms).
"""

import re
from collections.abc import Callable

from microcalc.intake.dicom.facts import Facts, ReadOptions
from microcalc.intake.dicom.header import Header
from microcalc.intake.dicom.library import Rejected
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["RAW_CLASSES", "SECONDARY_CAPTURES", "is_for_processing", "judge_kind"]

_CLASS = "1.2.840.10008.5.1.4.1.1."
RAW_CLASSES = frozenset({_CLASS + "1.2.1", _CLASS + "1.1.1", _CLASS + "13.1.5"})
"""Digital Mammography, Digital X-Ray and Breast Projection X-Ray, each For Processing."""

SECONDARY_CAPTURES = frozenset({_CLASS + "7", _CLASS + "7.1", _CLASS + "7.2", _CLASS + "7.3", _CLASS + "7.4"})
TOMOSYNTHESIS = frozenset({_CLASS + "13.1.3", _CLASS + "13.1.4", _CLASS + "13.1.5"})
"""Breast Tomosynthesis, and Breast Projection X-Ray for presentation and for processing."""

DIRECTORY = "1.2.840.10008.1.3.10"

_STEREO = re.compile(r"STEREO_(PLUS|MINUS)|(PRE|POST)FIRE_(PLUS|MINUS)|PREFIRE|POSTFIRE")
_NEEDLE_WORDS = re.compile(r"\b(NEEDLE|HOOK ?WIRE|WIRE LOC\w*|NEEDLE LOC\w*|STEREOTA\w+|PRE-?FIRE|POST-?FIRE)\b")
_SPECIMEN_WORDS = re.compile(r"\bSPECIMEN\b")
_TEXTS = ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")

Rule = Callable[[Header, Facts, ReadOptions], None]


def judge_kind(header: Header, facts: Facts, options: ReadOptions, *, specimen: bool) -> None:
    """Turn down everything that is not one mammogram.

    Args:
        header: of the object.
        facts: read from it.
        options: what is accepted all the same.
        specimen: the view code says so.

    Raises:
        Rejected: with the reason.
    """
    if specimen:
        raise Rejected(Verdict.SPECIMEN, "ViewCodeSequence says tissue specimen from breast; only breasts are read")
    for rule in _RULES:
        rule(header, facts, options)


def _object(header: Header, facts: Facts, _options: ReadOptions) -> None:
    if header.has("DirectoryRecordSequence") or facts.sop_class_uid == DIRECTORY:
        raise Rejected(
            Verdict.DIRECTORY_RECORD, "this is a DICOMDIR, a list of files; name the folder beside it instead"
        )
    if not (facts.rows or facts.columns or header.has("BitsAllocated")):
        kind = facts.sop_class_uid or "of no SOP class"
        if kind.startswith(_CLASS + "1.") or kind in SECONDARY_CAPTURES | TOMOSYNTHESIS:
            raise Rejected(Verdict.DAMAGED_HEADER, "an image must have rows and columns; the header ends without them")
        raise Rejected(Verdict.NOT_AN_IMAGE, f"a mammogram has rows and columns; this object ({kind}) has none")
    modality = header.word("Modality")
    if modality != "MG" and not (not modality and facts.sop_class_uid.startswith(_CLASS + "1.2")):
        raise Rejected(Verdict.NOT_MAMMOGRAPHY, f"Modality must be MG; it is {modality or 'missing'}")


def _frames(header: Header, facts: Facts, _options: ReadOptions) -> None:
    tomo = "TOMOSYNTHESIS" in header.texts("ImageType") or "TOMO_PROJ" in header.texts("ImageType")
    if facts.sop_class_uid in TOMOSYNTHESIS or tomo:
        raise Rejected(Verdict.TOMOSYNTHESIS, "one mammogram is wanted; this is tomosynthesis. Take the 2D images")
    frames = header.integer("NumberOfFrames")
    if frames is not None and frames > 1:
        raise Rejected(Verdict.MULTI_FRAME, f"one frame is wanted; this object has {frames}")


def _colour(header: Header, facts: Facts, _options: ReadOptions) -> None:
    samples = header.integer("SamplesPerPixel")
    grey = facts.photometric in ("MONOCHROME1", "MONOCHROME2")
    if not grey or samples not in (None, 1):
        raise Rejected(
            Verdict.COLOUR,
            f"a mammogram has one grey value per pixel (MONOCHROME1 or MONOCHROME2); this image is "
            f"{facts.photometric or 'of no photometric interpretation'} with {samples} samples per pixel",
        )


def is_for_processing(facts: Facts) -> bool:
    """Whether the pixels are raw values of the detector, by what the header says or by its SOP class."""
    return facts.presentation_intent == "FOR PROCESSING" or facts.sop_class_uid in RAW_CLASSES


def _raw(_header: Header, facts: Facts, options: ReadOptions) -> None:
    if is_for_processing(facts) and not options.accept_for_processing:
        raise Rejected(
            Verdict.FOR_PROCESSING,
            "a radiologist reads FOR PRESENTATION images; this one is FOR PROCESSING, raw values of the detector. "
            "Export the presentation images, or accept raw ones (accept_for_processing, --for-processing)",
        )


def _purpose(header: Header, _facts: Facts, _options: ReadOptions) -> None:
    kinds = tuple(kind.upper() for kind in header.texts("ImageType"))
    told = [(keyword, header.word(keyword)) for keyword in _TEXTS]
    if header.word("QualityControlImage") == "YES":
        raise Rejected(Verdict.QUALITY_CONTROL, "Quality Control Image (0028,0300) says YES; only breasts are read")
    position = header.word("ViewPosition")
    named = _found(_SPECIMEN_WORDS, [("ViewPosition", position), ("ImageType", " ".join(kinds)), *told])
    if named or header.items("SpecimenDescriptionSequence"):
        raise Rejected(Verdict.SPECIMEN, f"{named or 'SpecimenDescriptionSequence'} names a specimen, not a breast")
    if scout := [k for k in kinds if k in ("LOCALIZER", "STEREO_SCOUT", "TOMO_SCOUT")]:
        raise Rejected(Verdict.LOCALISER, f"ImageType {scout[0]} is a localiser, not a mammogram")
    stereo = next((k for k in kinds if _STEREO.fullmatch(k)), "")
    named = f"ImageType {stereo}" if stereo else _found(_NEEDLE_WORDS, told)
    if named or header.items("BiopsyTargetSequence"):
        raise Rejected(
            Verdict.NEEDLE, f"{named or 'BiopsyTargetSequence'} says biopsy or localisation, not a mammogram"
        )


def _found(words: re.Pattern[str], texts: list[tuple[str, str]]) -> str:
    return next((f"{keyword} {text!r}" for keyword, text in texts if words.search(text.replace("_", " "))), "")


def _derived(_header: Header, facts: Facts, options: ReadOptions) -> None:
    if facts.sop_class_uid not in SECONDARY_CAPTURES:
        return
    description = facts.series_description.lower()
    if "mask" in description and not options.accept_derived:
        raise Rejected(Verdict.MASK, f"the series {description!r} is the mask of a lesion, not a mammogram")
    if "crop" in description and not options.accept_derived:
        raise Rejected(Verdict.CROP, f"the series {description!r} is a cut-out, not a whole mammogram")
    if not (facts.laterality and facts.view):
        raise Rejected(
            Verdict.SECONDARY_CAPTURE,
            "a secondary capture is read if it names side and view (Laterality, ViewPosition or PatientOrientation); "
            f"this one has side {facts.laterality or 'unknown'}, view {facts.view or 'unknown'}",
        )


_RULES: tuple[Rule, ...] = (_object, _frames, _colour, _raw, _purpose, _derived)
