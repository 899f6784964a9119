"""What a header says, gathered into `Facts` and notes. Judges nothing and reads no pixels."""

from microcalc.intake.dicom.facts import Facts, Note, ReadOptions
from microcalc.intake.dicom.header import Header, iso_date
from microcalc.intake.dicom.scale import read_scale
from microcalc.intake.dicom.source import Opened
from microcalc.intake.dicom.syntaxes import SYNTAXES
from microcalc.intake.dicom.verdicts import NoteCode
from microcalc.intake.dicom.views import Projection, read_projection
from microcalc.intake.dicom.windows import choose_voi
from microcalc.vocabulary import ViewModifier

__all__ = ["gather"]


def gather(opened: Opened, path: str, options: ReadOptions) -> tuple[Facts, list[Note], Projection]:
    """Read everything that `Facts` has a place for.

    Args:
        opened: a parsed header.
        path: as it was given.
        options: which window is meant.
    """
    header = opened.header
    projection = read_projection(header)
    magnified = ViewModifier.MAGNIFICATION in projection.modifiers
    scale = read_scale(header, magnification_view=magnified)
    voi = choose_voi(header, number=options.window)
    implant = header.word("BreastImplantPresent") == "YES" or ViewModifier.IMPLANT_DISPLACED in projection.modifiers
    facts = Facts(
        path=path,
        laterality=projection.laterality,
        view=projection.view,
        view_modifiers=projection.modifiers,
        rows=max(header.integer("Rows") or 0, 0),
        columns=max(header.integer("Columns") or 0, 0),
        pixel_spacing_mm=scale.mm,
        spacing_source=scale.source,
        magnification=scale.magnification,
        spot_magnification=scale.magnified,
        photometric=header.word("PhotometricInterpretation"),
        voi=voi.words,
        presentation_intent=header.word("PresentationIntentType"),
        transfer_syntax=opened.transfer_syntax,
        lossy=_lossy(opened),
        implant=implant,
        padding=_padding(header),
        detector=_detector(header),
        **_who(header),
    )
    notes = [Note(code, words) for code, words in (*projection.notes, *scale.notes)]
    if len(voi.choices) > 1:
        notes.append(Note(NoteCode.SEVERAL_WINDOWS, f"applied: {voi.words}; the file has {'; '.join(voi.choices)}"))
    notes += [Note(NoteCode.WINDOW_IGNORED, f"not usable: {words}") for words in voi.ignored]
    return facts, notes + _flags(header, facts, opened), projection


def _who(header: Header) -> dict[str, str]:
    """Who, when, on which device."""
    acquired = header.text("AcquisitionDate") or header.text("AcquisitionDateTime")
    return {
        "manufacturer": header.text("Manufacturer"),
        "model": header.text("ManufacturerModelName"),
        "device_serial": header.text("DeviceSerialNumber"),
        "institution": header.text("InstitutionName"),
        "patient_id": header.text("PatientID"),
        "patient_name": header.text("PatientName"),
        "study_uid": header.text("StudyInstanceUID"),
        "series_uid": header.text("SeriesInstanceUID"),
        "sop_uid": header.text("SOPInstanceUID"),
        "sop_class_uid": header.text("SOPClassUID"),
        "accession_number": header.text("AccessionNumber"),
        "study_date": iso_date(header.text("StudyDate")),
        "acquisition_date": iso_date(acquired),
        "series_description": header.text("SeriesDescription"),
        "burned_in": header.word("BurnedInAnnotation"),
    }


def _lossy(opened: Opened) -> bool:
    syntax = SYNTAXES.get(opened.transfer_syntax)
    return opened.header.word("LossyImageCompression") == "01" or (syntax is not None and syntax.lossy)


def _padding(header: Header) -> tuple[int, int] | None:
    """First and last padding value; as signed numbers where the pixels are signed."""
    value, limit = header.integer("PixelPaddingValue"), header.integer("PixelPaddingRangeLimit")
    if value is None:
        return None
    signed = header.integer("PixelRepresentation") == 1
    ends = [v for v in (value, limit) if v is not None]
    ends = [v - 65_536 if v > 32_767 else v for v in ends] if signed else [v % 65_536 for v in ends]
    return min(ends), max(ends)


def _detector(header: Header) -> str:
    """Film where a digitiser says so, or the collection DDSM, whose copies do not; digital by SOP class or detector."""
    if header.word("ConversionType") == "DF" or header.word("StudyID") == "DDSM":
        return "film"
    if header.text("SOPClassUID").startswith("1.2.840.10008.5.1.4.1.1.1.") or header.word("DetectorType"):
        return "digital"
    return "unknown"


def _flags(header: Header, facts: Facts, opened: Opened) -> list[Note]:
    kinds = {kind.upper() for kind in header.texts("ImageType")}
    rules = (
        (facts.burned_in == "YES", NoteCode.BURNED_IN_DECLARED, "Burned In Annotation says YES: text in the pixels"),
        (facts.lossy, NoteCode.LOSSY, "the pixels were compressed with loss"),
        (facts.implant, NoteCode.IMPLANT, "an implant is present or was displaced for the view"),
        (header.word("PartialView") == "YES", NoteCode.PARTIAL_VIEW, "Partial View says YES: part of a larger breast"),
        (bool(kinds & {"GENERATED_2D", "TOMO_2D"}), NoteCode.SYNTHETIC, "computed from tomosynthesis, not exposed"),
        (
            bool(kinds & {"PRE_CONTRAST", "POST_CONTRAST", "SUBTRACTION", "ADDITION"}),
            NoteCode.CONTRAST,
            "of a contrast-enhanced examination",
        ),
        (facts.detector == "film", NoteCode.FILM, "a scanned film"),
        (not opened.has_preamble, NoteCode.NO_PREAMBLE, "the file lacks the preamble of PS3.10"),
        (
            (facts.photometric == "MONOCHROME1") != (header.word("PresentationLUTShape") == "INVERSE")
            and header.word("PresentationLUTShape") in ("IDENTITY", "INVERSE"),
            NoteCode.GREY_CONTRADICTION,
            f"{facts.photometric} with Presentation LUT Shape {header.word('PresentationLUTShape')}: read as inverse",
        ),
    )
    return [Note(code, words) for applies, code, words in rules if applies]
