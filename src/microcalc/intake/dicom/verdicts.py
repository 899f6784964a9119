"""The words of a verdict: why a file was not read, and what a reader must know of one that was.

Only words and their meaning live here; who decides on them stands in the other modules of this package.
"""

from enum import StrEnum

__all__ = ["VERDICT_MEANING", "NoteCode", "Verdict"]


class Verdict(StrEnum):
    """Why a file is read, or is not."""

    ACCEPTED = "accepted"
    NOT_FOUND = "not_found"
    NOT_A_FILE = "not_a_file"
    UNREADABLE = "unreadable"
    SYMLINK_LOOP = "symlink_loop"
    ARCHIVE = "archive"
    NOT_DICOM = "not_dicom"
    DAMAGED_HEADER = "damaged_header"
    DIRECTORY_RECORD = "directory_record"
    NOT_AN_IMAGE = "not_an_image"
    NOT_MAMMOGRAPHY = "not_mammography"
    SECONDARY_CAPTURE = "secondary_capture"
    TOMOSYNTHESIS = "tomosynthesis"
    MULTI_FRAME = "multi_frame"
    COLOUR = "colour"
    FOR_PROCESSING = "for_processing"
    SPECIMEN = "specimen"
    LOCALISER = "localiser"
    NEEDLE = "needle"
    QUALITY_CONTROL = "quality_control"
    CROP = "crop"
    MASK = "mask"
    TOO_LARGE = "too_large"
    PIXEL_FORMAT = "pixel_format"
    NO_PIXEL_DATA = "no_pixel_data"
    WRONG_LENGTH = "wrong_length"
    TRUNCATED = "truncated"
    TRANSFER_SYNTAX = "transfer_syntax"
    CODEC_MISSING = "codec_missing"
    DAMAGED_PIXELS = "damaged_pixels"
    DAMAGED_GREYS = "damaged_greys"
    BLANK = "blank"
    READER_DIED = "reader_died"


VERDICT_MEANING: dict[Verdict, str] = {
    Verdict.ACCEPTED: "the mammogram was read",
    Verdict.NOT_FOUND: "there is no such file",
    Verdict.NOT_A_FILE: "a folder, a pipe or a device stands where a file should",
    Verdict.UNREADABLE: "the operating system does not let the file be read",
    Verdict.SYMLINK_LOOP: "a folder leads back into itself",
    Verdict.ARCHIVE: "a zip, gzip or tar archive, which has to be unpacked first",
    Verdict.NOT_DICOM: "the file is not DICOM",
    Verdict.DAMAGED_HEADER: "the file begins like DICOM, but its header cannot be read to the end",
    Verdict.DIRECTORY_RECORD: "a DICOMDIR: a list of files, not an image",
    Verdict.NOT_AN_IMAGE: "a DICOM object without an image: report, presentation state, plan, waveform",
    Verdict.NOT_MAMMOGRAPHY: "an image of another modality than MG",
    Verdict.SECONDARY_CAPTURE: "a secondary capture that does not say which view of which breast it shows",
    Verdict.TOMOSYNTHESIS: "tomosynthesis: slices or projections instead of one mammogram",
    Verdict.MULTI_FRAME: "more than one frame",
    Verdict.COLOUR: "a colour image; a mammogram is grey",
    Verdict.FOR_PROCESSING: "raw detector values (FOR PROCESSING), not what a radiologist sees",
    Verdict.SPECIMEN: "a specimen, not a breast",
    Verdict.LOCALISER: "a localiser or scout image of a stereotactic or tomosynthesis run",
    Verdict.NEEDLE: "an image with a needle or wire, or of a stereotactic pair",
    Verdict.QUALITY_CONTROL: "a quality control image",
    Verdict.CROP: "a cut-out of a mammogram (as CBIS-DDSM has them), not the mammogram",
    Verdict.MASK: "the mask of a lesion (as CBIS-DDSM has them), not the mammogram",
    Verdict.TOO_LARGE: "more pixels than the limit allows",
    Verdict.PIXEL_FORMAT: "rows, columns or bits that a mammogram cannot have",
    Verdict.NO_PIXEL_DATA: "the header describes an image, but no pixels follow",
    Verdict.WRONG_LENGTH: "the pixel data have another length than rows, columns and bits ask for",
    Verdict.TRUNCATED: "the file ends before its pixel data do",
    Verdict.TRANSFER_SYNTAX: "an encoding of the pixels that is not read",
    Verdict.CODEC_MISSING: "the encoding is known, but the package that decodes it is not installed",
    Verdict.DAMAGED_PIXELS: "the compressed pixels cannot be decoded",
    Verdict.DAMAGED_GREYS: "a table or window of grey levels cannot be used",
    Verdict.BLANK: "all pixels have the same value",
    Verdict.READER_DIED: "the process that read the file died; the file was left out",
}
"""What each verdict says, in one line."""


class NoteCode(StrEnum):
    """What a reader must know of a file besides the verdict."""

    BURNED_IN_DECLARED = "burned_in_declared"
    BURNED_IN_SUSPECTED = "burned_in_suspected"
    BACKGROUND_BRIGHT = "background_bright"
    BACKGROUND_UNCLEAR = "background_unclear"
    GREY_CONTRADICTION = "grey_contradiction"
    SEVERAL_WINDOWS = "several_windows"
    NO_WINDOW = "no_window"
    WINDOW_IGNORED = "window_ignored"
    LOSSY = "lossy"
    IMPLANT = "implant"
    PARTIAL_VIEW = "partial_view"
    FOR_PROCESSING_ACCEPTED = "for_processing_accepted"
    SYNTHETIC = "synthetic"
    CONTRAST = "contrast"
    FILM = "film"
    SIDE_UNKNOWN = "side_unknown"
    SIDE_FROM_TEXT = "side_from_text"
    VIEW_UNKNOWN = "view_unknown"
    VIEW_FROM_TEXT = "view_from_text"
    VIEW_CONTRADICTION = "view_contradiction"
    SCALE_UNKNOWN = "scale_unknown"
    SCALE_UNCORRECTED = "scale_uncorrected"
    SCALE_CONTRADICTION = "scale_contradiction"
    NO_PREAMBLE = "no_preamble"
