"""The presentation state of a report: the squares and a line of text over the image (GSPS).

The image's own grey transformation is kept; nothing is zoomed. The squares are drawn in units of the image's pixels.
"""

import math

import highdicom as hd
import numpy as np
from highdicom import pr
from pydicom import Dataset

from microcalc import RESEARCH_USE, __version__
from microcalc.reader.objects.evidence import MANUFACTURER, MODEL, Report, one_line, person_name
from microcalc.reader.objects.finding import Finding
from microcalc.reader.objects.source_header import UTF_8

__all__ = ["caption", "cutoff_words", "presentation_state"]

SERIES_NUMBER = 7102
LAYER = "MICROCALC"


_LONGEST_WARNINGS = 500
"""Letters of warnings beside a square: a text of a presentation state (VR ST) has 1,024 at most; the report has all."""


def caption(report: Report, finding: Finding) -> str:
    """What stands beside a square: the probability, what was called, by which study; and what to be warned of."""
    reading = finding.reading
    cutoff = f"the cut-off of {cutoff_words(reading.cutoff)}" if math.isfinite(reading.cutoff) else "any cut-off"
    called = "above" if reading.called else "not above"
    calibrated = "" if reading.calibrated is None else f" (calibrated {reading.calibrated:.1%})"
    lesion = one_line(finding.lesion)
    name = f"{lesion}: " if lesion else ""
    return (
        f"{name}probability of malignancy {reading.ensemble:.1%}{calibrated}, {called} {cutoff} "
        f"(microcalc {report.study.version}, study {one_line(report.study.name)}){_warned(finding)}"
    )


def _warned(finding: Finding) -> str:
    """The warnings in a few words: who sees the picture may never see the report."""
    words = one_line("; ".join(note.message for note in finding.reading.warnings), 10 * _LONGEST_WARNINGS)
    if len(words) > _LONGEST_WARNINGS:
        words = f"{words[:_LONGEST_WARNINGS]}... (more in the report)"
    return f". Warning: {words}" if words else ""


def cutoff_words(cutoff: float) -> str:
    """A cut-off in words; -inf where the study's rule calls everything malignant."""
    return f"{cutoff:.1%}" if math.isfinite(cutoff) else "none, everything is called malignant"


def presentation_state(report: Report) -> Dataset:
    """Make the presentation state.

    Args:
        report: with the findings to be drawn.
    """
    layer = pr.GraphicLayer(LAYER, order=1, description="Squares that were read; research use only")
    annotation = pr.GraphicAnnotation(
        referenced_images=[report.source],
        graphic_layer=layer,
        graphic_objects=[_square(report, finding) for finding in report.findings],
        text_objects=[_text(report, finding) for finding in report.findings],
    )
    made = pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[report.source],
        series_instance_uid=report.uid("presentation series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=report.uid("presentation"),
        instance_number=1,
        device_serial_number="",
        content_label="MICROCALC",
        content_description=RESEARCH_USE.split(".")[0],
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        content_creator_name=person_name(report.observer.name),
        presentation_lut_transformation=_polarity(report.source),
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        specific_character_set=UTF_8,
    )
    return report.finish(made)


def _polarity(source: Dataset) -> hd.PresentationLUTTransformation:
    """A presentation state says itself which end is white; the image's photometric interpretation is not asked."""
    inverse = source.PhotometricInterpretation == "MONOCHROME1"
    return hd.PresentationLUTTransformation(presentation_lut_shape="INVERSE" if inverse else "IDENTITY")


def _square(report: Report, finding: Finding) -> pr.GraphicObject:
    top, left, bottom, right = finding.visible_box(int(report.source.Rows), int(report.source.Columns))
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
    return pr.GraphicObject(pr.GraphicTypeValues.POLYLINE, corners, units=pr.AnnotationUnitsValues.PIXEL)


def _text(report: Report, finding: Finding) -> pr.TextObject:
    _, left, bottom, _ = finding.visible_box(int(report.source.Rows), int(report.source.Columns))
    return pr.TextObject(
        f"{caption(report, finding)}. {RESEARCH_USE}",
        units=pr.AnnotationUnitsValues.PIXEL,
        anchor_point=(left, bottom),
        anchor_point_visible=False,
    )
