"""How a header asks for its greys: modality transformation, then VOI table or window, then presentation.

Sources: DICOM PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT; C.11.2.1.2.1 default linear, C.11.2.1.3.1 sigmoid,
C.11.2.1.3.2 linear exact), C.7.6.3.1.2 (photometric interpretation), C.8.11.3.1.2 (presentation LUT shape). The result
is a `microcalc.intake.dicom.greys.GreyScale`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.dicom.greys import GreyScale
from microcalc.intake.dicom.header import Header
from microcalc.intake.dicom.lookup import Lookup, read_lookup
from microcalc.intake.dicom.pixel_format import PixelFormat

__all__ = ["Voi", "VoiKind", "choose_voi", "grey_scale", "is_inverse"]

STEEPEST = 1 / 256
"""Greys per stored value up to which a ramp in float32 is as exact as a table (1e-5)."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Voi:
    """What selects the values of interest.

    Attributes:
        kind: ``table``, ``LINEAR``, ``LINEAR_EXACT``, ``SIGMOID`` or ``full range``.
        center, width: of a window.
        lookup: of a table.
        words: for the record, e.g. ``window 2047/4096 LINEAR (1 of 2: NORMAL)``.
        choices: what else could have been chosen.
        ignored: what could not be used, in words.
    """

    kind: str
    center: float = math.nan
    width: float = math.nan
    lookup: Lookup | None = None
    words: str = ""
    choices: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class VoiKind:
    """Words of `Voi.kind`."""

    TABLE = "table"
    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"
    FULL = "full range"


def choose_voi(header: Header, *, number: int) -> Voi:
    """The VOI table or window that is applied: tables come before windows.

    Args:
        header: of the image.
        number: which of several, from 0; the first where there are fewer.
    """
    ignored: list[str] = []
    tables = _tables(header, ignored)
    windows = _windows(header, ignored)
    choices = tuple(voi.words for voi in tables + windows)
    found = tables or windows
    if not found:
        return Voi(VoiKind.FULL, words=VoiKind.FULL, ignored=tuple(ignored))
    chosen = found[number] if 0 <= number < len(found) else found[0]
    count = f" ({found.index(chosen) + 1} of {len(found)})" if len(found) > 1 else ""
    return Voi(
        chosen.kind, chosen.center, chosen.width, chosen.lookup, chosen.words + count, choices, tuple(ignored)
    )  # fmt: skip


def _tables(header: Header, ignored: list[str]) -> list[Voi]:
    found = []
    for item in header.items("VOILUTSequence"):
        lookup = read_lookup(item)
        if lookup is None:
            ignored.append("a VOI LUT without usable descriptor or data")
            continue
        name = lookup.explanation
        words = f"VOI LUT of {len(lookup.data)} entries" + (f" {name!r}" if name else "")
        found.append(Voi(VoiKind.TABLE, lookup=lookup, words=words))
    return found


def _windows(header: Header, ignored: list[str]) -> list[Voi]:
    function = header.word("VOILUTFunction") or VoiKind.LINEAR
    if function not in (VoiKind.LINEAR, VoiKind.LINEAR_EXACT, VoiKind.SIGMOID):
        ignored.append(f"the VOI LUT function {function!r}, which is not DICOM's; LINEAR is used")
        function = VoiKind.LINEAR
    names = header.texts("WindowCenterWidthExplanation")
    centers, widths = header.numbers("WindowCenter"), header.numbers("WindowWidth")
    found = []
    for i, (center, width) in enumerate(zip(centers, widths, strict=False)):
        least = 1.0 if function == VoiKind.LINEAR else 0.0
        if not math.isfinite(center) or not width >= least or width == 0 or max(abs(center), width) > 1e9:
            ignored.append(f"the window {center:g}/{width:g}, which has no width")
            continue
        name = f" {names[i]!r}" if i < len(names) and names[i] else ""
        found.append(Voi(function, center, width, words=f"window {center:g}/{width:g} {function}{name}"))
    if len(centers) != len(widths):
        ignored.append(f"{abs(len(centers) - len(widths))} window centres or widths without their partner")
    return found


def is_inverse(header: Header) -> bool:
    """Whether low values are bright, by Presentation LUT Shape, else by Photometric Interpretation."""
    shape = header.word("PresentationLUTShape")
    if header.word("PhotometricInterpretation") == "MONOCHROME1":
        return True
    return shape == "INVERSE"


def grey_scale(
    header: Header, form: PixelFormat, voi: Voi, *, stored_range: tuple[int, int], padding: tuple[int, int] | None
) -> GreyScale:
    """What makes greys of the stored values.

    Args:
        header: of the image.
        form: of its pixels.
        voi: by `choose_voi`.
        stored_range: stored values that become black and white where there is no window.
        padding: stored values of the surroundings.
    """
    inverse = is_inverse(header)
    lookup = _modality_table(header)
    slope, intercept = _rescale(header)
    if lookup is None and voi.kind in (VoiKind.LINEAR, VoiKind.LINEAR_EXACT, VoiKind.FULL):
        ends = _window_ends(voi) or tuple(slope * v + intercept for v in stored_range)
        ramp = _ramp(slope, intercept, ends)
        if ramp is not None:
            scale = GreyScale(*ramp, padding=padding)
            return scale.inverted() if inverse else scale
    stored = np.arange(form.lowest, form.highest + 1, dtype=np.float64)
    modality = lookup.of(stored) if lookup is not None else slope * stored + intercept
    black, white = (modality[v - form.lowest] for v in stored_range)
    greys = _of_voi(modality, voi, float(black), float(white))
    scale = GreyScale(table=greys.astype(np.float32), first=form.lowest, padding=padding)
    return scale.inverted() if inverse else scale


def _modality_table(header: Header) -> Lookup | None:
    items = header.items("ModalityLUTSequence")
    return read_lookup(items[0]) if items else None


def _rescale(header: Header) -> tuple[float, float]:
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
    return (slope if math.isfinite(slope) and slope != 0 else 1.0), (intercept if math.isfinite(intercept) else 0.0)


def _window_ends(voi: Voi) -> tuple[float, ...] | None:
    """Modality values that become black and white."""
    if voi.kind == VoiKind.LINEAR:
        middle, half = voi.center - 0.5, (voi.width - 1) / 2
        return middle - half, middle + half
    if voi.kind == VoiKind.LINEAR_EXACT:
        return voi.center - voi.width / 2, voi.center + voi.width / 2
    return None


def _ramp(slope: float, intercept: float, ends: tuple[float, ...]) -> tuple[float, float] | None:
    """Slope and intercept over stored values; None where it is too steep for float32, or a step."""
    black, white = ends
    if black == white:
        return None
    steep = slope / (white - black)
    if not abs(steep) <= STEEPEST:
        return None
    return steep, (intercept - black) / (white - black)


def _of_voi(values: Values, voi: Voi, black: float, white: float) -> Values:
    """Greys in [0, 1] of modality values."""
    if voi.kind == VoiKind.TABLE and voi.lookup is not None:
        return voi.lookup.of(values) / voi.lookup.highest
    if voi.kind == VoiKind.SIGMOID:
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-4 * (values - voi.center) / voi.width)))
    if voi.kind in (VoiKind.LINEAR, VoiKind.LINEAR_EXACT):
        ends = _window_ends(voi) or (black, white)
        black, white = ends[0], ends[1]
    if black == white:
        return np.asarray(values > black, dtype=np.float64)
    return np.clip((values - black) / (white - black), 0, 1)
