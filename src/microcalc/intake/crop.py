"""The region of interest: a square of 512 pixels cut out of a mammogram around a lesion, nothing turned or flipped.

A lesion is a `Box` (a point is a box of one pixel; a mask has one, `box_of_mask`). The default square takes the
mammogram's own pixels, as in the paper; a `Scale` resamples every square to one spacing. Where the square leaves the
mammogram it is filled by reflection, and says so. Files, joins and cohorts live elsewhere.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from microcalc.cohort.images import ROI_SIDE
from microcalc.errors import ImageError, ProtocolError

__all__ = [
    "PAPER_SCALE",
    "SPACING_RANGE_MM",
    "Box",
    "GreyPlane",
    "Roi",
    "Scale",
    "box_of_mask",
    "cut_lesion",
    "cut_roi",
]

WHITE = 65535
"""Grey value that 1.0 becomes."""

SPACING_RANGE_MM = (0.01, 0.5)
"""Sizes of a pixel that a mammogram may have or be resampled to; detectors have 0.025 to 0.1 mm, films 0.04 to 0.2."""

_SUPPORT = 2
"""Reach of the bicubic filter, in pixels of the coarser of the two grids."""

_SMALLEST_STEP = 1e-6
"""Scale factors closer to 1 than this leave the pixels as they are."""


class GreyPlane(Protocol):
    """What a square is cut from: an array of (rows, columns) greys, or something that makes them when asked."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    def __getitem__(self, part: tuple[slice, slice], /) -> NDArray[np.float32]:
        """Greys of a part."""


@dataclass(frozen=True)
class Box:
    """Rectangle around a lesion in the mammogram's pixels, from 0 at the upper left; all four pixels belong to it."""

    top: float
    left: float
    bottom: float
    right: float

    def __post_init__(self) -> None:
        """Refuse boxes that end before they begin, or are no numbers."""
        if not all(map(math.isfinite, (self.top, self.left, self.bottom, self.right))):
            raise ImageError(f"a box must have four finite numbers; it has {self}")
        if self.bottom < self.top or self.right < self.left:
            raise ImageError(f"a box must have top <= bottom and left <= right; it has {self}")

    @classmethod
    def around(cls, row: float, column: float) -> "Box":
        """The box of one point."""
        return cls(row, column, row, column)

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column of the middle."""
        return (self.top + self.bottom) / 2, (self.left + self.right) / 2

    @property
    def size(self) -> tuple[float, float]:
        """Rows and columns that the box covers."""
        return self.bottom - self.top + 1, self.right - self.left + 1

    def scaled(self, rows: float, columns: float) -> "Box":
        """The same box on a grid with ``rows`` and ``columns`` times as many pixels."""
        top, left = self.top * rows, self.left * columns
        return Box(top, left, max(top, (self.bottom + 1) * rows - 1), max(left, (self.right + 1) * columns - 1))


@dataclass(frozen=True)
class Scale:
    """Size of a ROI's pixels: the mammogram's own (None), or so many millimetres in every ROI."""

    spacing_mm: float | None = None

    def __post_init__(self) -> None:
        """Refuse spacings that no mammogram has."""
        low, high = SPACING_RANGE_MM
        if self.spacing_mm is not None and not low <= self.spacing_mm <= high:
            raise ProtocolError(f"the spacing of a ROI must be {low} to {high} mm; got {self.spacing_mm:g}")

    @classmethod
    def parse(cls, text: str) -> "Scale":
        """Read ``pixels``, ``mm:SPACING`` or ``square:SIDE_IN_MM``.

        Raises:
            ProtocolError: it is none of them.

        >>> Scale.parse("square:35.84")
        Scale(spacing_mm=0.07)
        """
        if text == "pixels":
            return cls()
        kind, _, number = text.partition(":")
        try:
            value = float(number.removesuffix("mm"))
        except ValueError:
            value = math.nan
        if kind not in ("mm", "square") or not math.isfinite(value):
            raise ProtocolError(
                "the scale must be 'pixels' (as in the paper), 'mm:0.07' (millimetres for each pixel of the ROI) or "
                f"'square:35.84' (millimetres for each side of the square); got {text!r}"
            )
        return cls(value if kind == "mm" else value / ROI_SIDE)

    def factor(self, pixel_spacing_mm: float | None) -> float:
        """Pixels of the mammogram for each pixel of the ROI.

        Raises:
            ImageError: a spacing is asked for, and the mammogram's own is not known.
        """
        if self.spacing_mm is None:
            return 1.0
        if pixel_spacing_mm is None or not math.isfinite(pixel_spacing_mm) or pixel_spacing_mm <= 0:
            raise ImageError(
                "to resample a ROI to one spacing, the mammogram's own must be known; its header has none. "
                "Leave the image out, or take squares of the mammogram's own pixels: a cohort with --scale pixels, and "
                "a study of such a cohort"
            )
        return self.spacing_mm / pixel_spacing_mm


PAPER_SCALE = Scale()
"""The mammogram's own pixels (Kang 2021)."""


@dataclass(frozen=True, eq=False)
class Roi:
    """A square of a mammogram.

    Attributes:
        pixels: (side, side) uint16, 0 black to 65535 white.
        row: pixel of the mammogram whose middle is that of the ROI's pixel [side // 2, side // 2].
        col: its column.
        padded: whether the square left the mammogram and was filled by reflection.
        factor: pixels of the mammogram for each pixel of the ROI.
    """

    pixels: NDArray[np.uint16]
    row: int
    col: int
    padded: bool
    factor: float = 1.0


def cut_roi(
    pixels: GreyPlane,
    centre_row: float,
    centre_col: float,
    *,
    side: int = ROI_SIDE,
    factor: float = 1.0,
) -> Roi:
    """Cut a square around a point.

    The point is rounded to its pixel (halves up), which becomes the ROI's pixel [side // 2, side // 2]. With factor 1
    the greys are those of the mammogram, only rounded to 16 bits; another factor is resampled with a bicubic filter
    that widens with the reduction, so that nothing is aliased.

    Args:
        pixels: (rows, columns) mammogram, 0 black to 1 white.
        centre_row: row of the lesion, from 0.
        centre_col: its column.
        side: rows and columns of the ROI.
        factor: pixels of the mammogram for each pixel of the ROI.

    Raises:
        ImageError: the point lies outside the mammogram, or the factor is not above 0.
    """
    rows, columns = pixels.shape
    row, col = math.floor(centre_row + 0.5), math.floor(centre_col + 0.5)
    if not (0 <= row < rows and 0 <= col < columns):
        raise ImageError(
            f"the centre of a lesion must lie in its mammogram of {rows} rows x {columns} columns; it lies at row "
            f"{centre_row:g}, column {centre_col:g}. Rows are counted from the top, columns from the left, both from 0"
        )
    if not factor > 0 or not math.isfinite(factor):
        raise ImageError(f"the factor of a ROI must be a number above 0; got {factor}")
    if abs(factor - 1) < _SMALLEST_STEP:
        top, left = row - side // 2, col - side // 2
        square = _reflected(pixels, top, left, side, side)
        padded = top < 0 or left < 0 or top + side > rows or left + side > columns
        return Roi(_sixteen_bits(square), row, col, padded)
    square, padded = _resampled(pixels, row, col, side, factor)
    return Roi(_sixteen_bits(square), row, col, padded, factor)


def cut_lesion(pixels: GreyPlane, lesion: Box, *, factor: float = 1.0, side: int = ROI_SIDE) -> tuple[Roi, str]:
    """Cut the square around a lesion's box.

    Args:
        pixels: (rows, columns) mammogram, 0 black to 1 white.
        lesion: its box.
        factor: pixels of the mammogram for each pixel of the ROI.
        side: rows and columns of the ROI.

    Returns:
        The ROI, and a remark where the lesion is larger than the square (else "").

    Raises:
        ImageError: the middle of the box lies outside the mammogram.
    """
    roi = cut_roi(pixels, *lesion.centre, side=side, factor=factor)
    height, width = lesion.size
    if max(height, width) <= side * factor:
        return roi, ""
    return roi, (
        f"the lesion is larger than the square: {height:.0f} rows x {width:.0f} columns against {side * factor:.0f}; "
        "its middle was cut out"
    )


def box_of_mask(mask: NDArray[np.generic]) -> Box:
    """The box around everything that is not 0.

    Args:
        mask: (rows, columns), 0 outside the lesion.

    Raises:
        ImageError: the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise ImageError("a mask must mark its lesion; it is 0 everywhere")
    return Box(float(rows[0]), float(columns[0]), float(rows[-1]), float(columns[-1]))


def _reflected(pixels: GreyPlane, top: int, left: int, height: int, width: int) -> NDArray[np.float32]:
    """A rectangle that may leave the mammogram; beyond an edge the picture is mirrored, the edge itself not doubled."""
    rows, columns = _mirror(top, height, pixels.shape[0]), _mirror(left, width, pixels.shape[1])
    first_row, first_column = int(rows.min()), int(columns.min())
    part = pixels[first_row : int(rows.max()) + 1, first_column : int(columns.max()) + 1]
    if part.shape == (height, width) and rows[0] == first_row and columns[0] == first_column:
        return part  # wholly inside, and so in order
    mirrored: NDArray[np.float32] = part[np.ix_(rows - first_row, columns - first_column)]
    return mirrored


def _mirror(start: int, count: int, length: int) -> NDArray[np.intp]:
    """Indices start, start + 1, ... folded back into 0 .. length - 1."""
    index = np.arange(start, start + count)
    if length == 1:
        return np.zeros(count, dtype=np.intp)
    index %= 2 * (length - 1)
    return np.minimum(index, 2 * (length - 1) - index).astype(np.intp)


def _resampled(pixels: GreyPlane, row: int, col: int, side: int, factor: float) -> tuple[NDArray[np.float32], bool]:
    """The square on another grid, and whether it left the mammogram. Pillow counts from the corner of a pixel."""
    edges = [centre + 0.5 - (side // 2 + 0.5) * factor for centre in (row, col)]
    length = side * factor
    reach = math.ceil(_SUPPORT * max(factor, 1.0)) + 1
    starts = [math.floor(edge) - reach for edge in edges]
    counts = [math.ceil(edge + length) + reach - start for edge, start in zip(edges, starts, strict=True)]
    wide = np.ascontiguousarray(_reflected(pixels, starts[0], starts[1], counts[0], counts[1]), dtype=np.float32)
    top, left = (edge - start for edge, start in zip(edges, starts, strict=True))
    box = (left, top, left + length, top + length)
    square = Image.fromarray(wide).resize((side, side), Image.Resampling.BICUBIC, box=box)
    slack = _SMALLEST_STEP * length
    padded = any(edge < -slack or edge + length > size + slack for edge, size in zip(edges, pixels.shape, strict=True))
    return np.asarray(square, dtype=np.float32), padded


def _sixteen_bits(square: NDArray[np.float32]) -> NDArray[np.uint16]:
    grey: NDArray[np.uint16] = np.rint(np.clip(square, 0.0, 1.0) * np.float32(WHITE)).astype(np.uint16)
    return grey
