"""The heatmap of a report: a fractional segmentation on the image's grid, or a secondary capture of the square.

A segmentation needs to know where its pixels lie; objects without a frame of reference and without the attributes of
a mammography image (the films of CBIS-DDSM) get a colour picture of the square instead, with the scores below it.
"""

import io
import math

import numpy as np
from highdicom import AlgorithmIdentificationSequence, sc, seg
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import RLELossless

from microcalc import RESEARCH_USE, __version__
from microcalc.cohort.images import ROI_SIDE
from microcalc.errors import InputError
from microcalc.intake.crop import cut_roi
from microcalc.intake.dicom import Mammogram, ReadOptions, read_mammogram
from microcalc.reader.objects import dicom_words as words
from microcalc.reader.objects.evidence import MANUFACTURER, MODEL, Report, one_line
from microcalc.reader.objects.finding import ENSEMBLE, Finding
from microcalc.reader.objects.presentation import caption
from microcalc.reader.objects.source_header import UTF_8
from microcalc.report.panels import panel_png

__all__ = ["can_carry_segmentation", "heatmap_object", "secondary_capture", "segmentation"]

SERIES_NUMBER = 7103
MAX_FRACTION = 255
_PLAIN = 32768
_ANY = ReadOptions(accept_for_processing=True, accept_derived=True, check_pixels=False)

_MAMMOGRAPHY = ("1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.1.2.1")
"""Digital Mammography X-Ray Image Storage, for presentation and for processing."""


def can_carry_segmentation(source: Dataset) -> bool:
    """Whether a segmentation can refer to this image: a single-frame digital mammogram.

    Args:
        source: header of the image.
    """
    return source.get("SOPClassUID") in _MAMMOGRAPHY and int(source.get("NumberOfFrames") or 1) == 1


def heatmap_object(report: Report, source: Dataset) -> Dataset:
    """The heatmap in the form that the image can carry.

    Args:
        report: with the findings.
        source: the image, with or without pixels.
    """
    if can_carry_segmentation(report.source):
        return segmentation(report)
    return secondary_capture(report, source)


def segmentation(report: Report) -> Dataset:
    """Fractional segmentation, one segment for each finding, as large as the image.

    Values are the heatmap of the ensemble, 0 to 255: relative weight, not a probability.
    """
    rows, columns = int(report.source.Rows), int(report.source.Columns)
    planes = np.zeros((1, rows, columns, len(report.findings)), dtype=np.float32)
    for number, finding in enumerate(report.findings):
        _paint(planes[0, :, :, number], finding)
    made = seg.Segmentation(
        source_images=[report.source],
        pixel_array=planes,
        segmentation_type=seg.SegmentationTypeValues.FRACTIONAL,
        fractional_type=seg.SegmentationFractionalTypeValues.PROBABILITY,
        max_fractional_value=MAX_FRACTION,
        segment_descriptions=[_segment(report, n, finding) for n, finding in enumerate(report.findings, 1)],
        series_instance_uid=report.uid("heatmap series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=report.uid("heatmap"),
        instance_number=1,
        device_serial_number="",
        content_label="GRADCAM",
        content_description="Grad-CAM heatmap; research use only",
        transfer_syntax_uid=RLELossless,
        omit_empty_frames=False,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        specific_character_set=UTF_8,
    )
    return report.finish(made)


def secondary_capture(report: Report, source: Dataset) -> Dataset:
    """Colour picture of each square and its heatmap, one below the other, with the scores in words.

    Args:
        report: with the findings.
        source: the image; without pixels, or where they cannot be read, the heatmap lies on plain grey.
    """
    mammogram = read_mammogram(source, _ANY) if "PixelData" in source else None
    seen = mammogram if isinstance(mammogram, Mammogram) else None
    pixels = _stacked([_panel(report, finding, seen) for finding in report.findings])
    header = report.source
    made = sc.SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=report.uid("heatmap series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=report.uid("heatmap"),
        instance_number=1,
        transfer_syntax_uid=RLELossless,
        patient_id=header.PatientID,
        patient_name=header.PatientName,
        patient_birth_date=header.PatientBirthDate,
        patient_sex=header.PatientSex,
        accession_number=header.AccessionNumber,
        study_id=header.StudyID,
        study_date=header.StudyDate or None,
        study_time=header.StudyTime or None,
        referring_physician_name=header.ReferringPhysicianName or None,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        specific_character_set=UTF_8,
    )
    made.PatientOrientation = header.PatientOrientation
    _describe(made, report)
    return report.finish(made)


def _describe(made: Dataset, report: Report) -> None:
    """What a secondary capture says of itself, and which image it was made from."""
    header = report.source
    made.ConversionType = "WSD"
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.BurnedInAnnotation = "NO"
    made.ImageComments = RESEARCH_USE
    made.DerivationDescription = "Grad-CAM heatmaps of the square that was read, beside its greys"
    made.DateOfSecondaryCapture = report.at.strftime("%Y%m%d")
    made.TimeOfSecondaryCapture = report.at.strftime("%H%M%S")
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [_code(words.SOURCE_IMAGE)]
    made.SourceImageSequence = [item]


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def _panel(report: Report, finding: Finding, mammogram: Mammogram | None) -> NDArray[np.uint8]:
    """(height, width, 3): the square as it is, beside it with the heatmap, words below."""
    heatmap = _heatmap(finding)
    if mammogram is None:
        grey = np.full((ROI_SIDE, ROI_SIDE), _PLAIN, np.uint16)
    else:
        grey = cut_roi(mammogram.plane, finding.row, finding.col, factor=finding.side / ROI_SIDE).pixels
    png = panel_png(grey, heatmap, caption=f"{caption(report, finding)}. {RESEARCH_USE}")
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _stacked(panels: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Panels one below the other; narrower ones are filled up with white."""
    width = max(panel.shape[1] for panel in panels)
    filled = [np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in panels]
    return np.ascontiguousarray(np.concatenate(filled))


def _heatmap(finding: Finding) -> NDArray[np.float32]:
    """The ensemble's heatmap, between 0 and 1.

    Raises:
        InputError: there is none, or it is of another size.
    """
    heatmap = finding.reading.heatmaps.get(ENSEMBLE)
    if heatmap is None or heatmap.shape != (ROI_SIDE, ROI_SIDE) or not np.isfinite(heatmap).all():
        raise InputError(
            f"a reading must have a finite heatmap of {ROI_SIDE} x {ROI_SIDE} named {ENSEMBLE!r} before it is sent; "
            f"it has {None if heatmap is None else heatmap.shape}. Read the square again"
        )
    return np.clip(np.asarray(heatmap, dtype=np.float32), 0.0, 1.0)


def _paint(plane: NDArray[np.float32], finding: Finding) -> None:
    """Put a heatmap where its square lies on the image; beyond the edge it is cut off.

    Args:
        plane: (rows, columns) zeros, is filled.
        finding: whose heatmap.
    """
    top, left, _, _ = finding.box
    first_row, first_col, last_row, last_col = finding.visible_box(*plane.shape)
    rows = slice(math.ceil(first_row), math.floor(last_row))
    cols = slice(math.ceil(first_col), math.floor(last_col))
    scale = ROI_SIDE / finding.side
    box = tuple(scale * v for v in (cols.start - left, rows.start - top, cols.stop - left, rows.stop - top))
    size = (cols.stop - cols.start, rows.stop - rows.start)
    if min(size) < 1:
        return
    painted = Image.fromarray(_heatmap(finding)).resize(size, Image.Resampling.BILINEAR, box=_within(box))
    plane[rows, cols] = np.asarray(painted)


def _within(box: tuple[float, ...]) -> tuple[float, float, float, float]:
    """A box that rounding may have pushed over the edge by a hair."""
    left, top, right, bottom = (min(max(value, 0.0), float(ROI_SIDE)) for value in box)
    return left, top, right, bottom


def _segment(report: Report, number: int, finding: Finding) -> seg.SegmentDescription:
    algorithm = AlgorithmIdentificationSequence(
        name="microcalc",
        version=report.study.version,
        family=words.ALGORITHM,
        source=MANUFACTURER,
        parameters={"study": report.study.name, "heatmap": "Grad-CAM, mean of the networks"},
    )
    lesion = one_line(finding.lesion) or f"finding {number}"
    return seg.SegmentDescription(
        segment_number=number,
        segment_label=one_line(f"Grad-CAM {lesion}"),
        segmented_property_category=words.SPATIAL,
        segmented_property_type=words.GRADCAM,
        algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=report.uid(f"finding {number}"),
        tracking_id=lesion,
    )
