"""How many millimetres of breast one pixel shows, and by which elements that is known.

The detector sees the breast enlarged by the ratio of the distances from the source to the detector and to the breast;
a spot-magnification view by 1.5 to 2. Sources: DICOM PS3.3 C.8.11.7 (Estimated Radiographic Magnification Factor,
distances), C.8.11.4 (Imager Pixel Spacing, Detector Element Spacing), 10.7.1.1 and 10.7.1.3 (Pixel Spacing and its
calibration).
"""

import math
from dataclasses import dataclass

from microcalc.intake.dicom.header import Header
from microcalc.intake.dicom.verdicts import NoteCode

__all__ = ["MAGNIFIED", "Scale", "ScaleNote", "read_scale"]

MAGNIFIED = 1.3
"""Factor from which a view counts as magnified: contact views have up to 1.1, magnification views 1.5 to 2."""

PLAUSIBLE_FACTOR = (0.98, 10.0)
PLAUSIBLE_MM = (0.005, 1.0)
"""Spacings that a mammogram can have: detectors have 0.05 to 0.1 mm, reduced copies some tenths."""

SAME = 0.01
"""Relative difference up to which two spacings count as the same."""

ScaleNote = tuple[NoteCode, str]


@dataclass(frozen=True)
class Scale:
    """Millimetres per pixel in the plane of the breast.

    Attributes:
        mm: NaN where it cannot be known.
        source: elements that it was taken from, joined by ``/``; empty where unknown.
        magnification: NaN where it cannot be known.
        magnified: by the factor or by the view's modifier.
        notes: what a reader must know.
    """

    mm: float
    source: str
    magnification: float
    magnified: bool
    notes: tuple[ScaleNote, ...]


def read_scale(header: Header, *, magnification_view: bool) -> Scale:
    """Read the scale from a header.

    Args:
        header: of the image.
        magnification_view: the view has the modifier Magnification.
    """
    notes: list[ScaleNote] = []
    factor, by = _factor(header, notes)
    magnified = magnification_view or factor >= MAGNIFIED
    if magnification_view and factor < MAGNIFIED:
        notes.append(
            (NoteCode.SCALE_CONTRADICTION,
             f"the view is a magnification view, but {by} gives a factor of {factor:.3g}; the scale is left open")
        )  # fmt: skip
        return Scale(math.nan, "", factor, magnified, tuple(notes))
    mm, source = _spacing(header, factor, by, magnified=magnified, notes=notes)
    return Scale(mm, source, factor, magnified, tuple(notes))


def _factor(header: Header, notes: list[ScaleNote]) -> tuple[float, str]:
    """Magnification and the element it came from; NaN where unknown."""
    found = []
    stated = header.number("EstimatedRadiographicMagnificationFactor")
    if math.isfinite(stated):
        found.append((stated, "EstimatedRadiographicMagnificationFactor"))
    detector, patient = header.number("DistanceSourceToDetector"), header.number("DistanceSourceToPatient")
    if detector > 0 and patient > 0:
        found.append((detector / patient, "DistanceSourceToDetector/DistanceSourceToPatient"))
    good = [(value, name) for value, name in found if PLAUSIBLE_FACTOR[0] <= value <= PLAUSIBLE_FACTOR[1]]
    for value, name in found:
        if (value, name) not in good:
            notes.append((NoteCode.SCALE_CONTRADICTION, f"{name} gives a magnification of {value:.4g}; it is not used"))
    if len(good) == 2 and _differ(good[0][0], good[1][0], 0.05):
        words = (
            f"magnification {good[0][0]:.4g} by {good[0][1]}, but {good[1][0]:.4g} by {good[1][1]}; the first is used"
        )
        notes.append((NoteCode.SCALE_CONTRADICTION, words))
    return good[0] if good else (math.nan, "no element")


def _spacing(
    header: Header, factor: float, by: str, *, magnified: bool, notes: list[ScaleNote]
) -> tuple[float, str]:  # fmt: skip
    imager, pixel = _square(header, "ImagerPixelSpacing", notes), _square(header, "PixelSpacing", notes)
    calibration = header.word("PixelSpacingCalibrationType")
    if imager and math.isfinite(factor):
        mm = imager / factor
        if pixel and calibration and _differ(mm, pixel, 0.02):
            words = (
                f"ImagerPixelSpacing and the magnification give {mm:.4g} mm, PixelSpacing, as calibrated, {pixel:.4g}"
            )
            notes.append((NoteCode.SCALE_CONTRADICTION, words + "; the first is used"))
        return mm, f"ImagerPixelSpacing/{by}"
    if pixel and calibration in ("GEOMETRY", "FIDUCIAL"):
        return pixel, f"PixelSpacing/{calibration}"
    if pixel and imager and _differ(pixel, imager, SAME):
        return pixel, "PixelSpacing"  # PS3.3 10.7.1.3: different from the imager's, so it has been corrected
    return _uncorrected(header, imager or pixel, "ImagerPixelSpacing" if imager else "PixelSpacing", magnified, notes)


def _uncorrected(
    header: Header, mm: float, source: str, magnified: bool, notes: list[ScaleNote]
) -> tuple[float, str]:  # fmt: skip
    """The detector's spacing, which stands in for the breast's on a contact view only."""
    if not mm:
        mm, source = _square(header, "DetectorElementSpacing", notes), "DetectorElementSpacing"
    if not mm:
        notes.append((NoteCode.SCALE_UNKNOWN, "no element says how large a pixel is"))
        return math.nan, ""
    if magnified:
        words = f"{source} is {mm:.4g} mm at the detector, but by how much the view is magnified is not said"
        notes.append((NoteCode.SCALE_UNKNOWN, words + "; the scale is left open"))
        return math.nan, ""
    words = f"{source} is taken as it stands, at the detector; at the breast a pixel is up to a tenth smaller"
    notes.append((NoteCode.SCALE_UNCORRECTED, words))
    return mm, source


def _square(header: Header, keyword: str, notes: list[ScaleNote]) -> float:
    """Spacing of an element in mm, if it is the same along rows and columns; 0 where there is none."""
    values = header.numbers(keyword)
    if not values or not all(math.isfinite(v) for v in values):
        return 0.0
    across, down = values[0], values[-1]
    if not all(PLAUSIBLE_MM[0] <= v <= PLAUSIBLE_MM[1] for v in (across, down)):
        notes.append((NoteCode.SCALE_CONTRADICTION, f"{keyword} {across:g} x {down:g} mm is not used: no mammogram's"))
        return 0.0
    if _differ(across, down, SAME):
        notes.append((NoteCode.SCALE_CONTRADICTION, f"{keyword} {across:g} x {down:g} mm is not used: not square"))
        return 0.0
    return math.sqrt(across * down)


def _differ(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) > tolerance * max(abs(a), abs(b))
