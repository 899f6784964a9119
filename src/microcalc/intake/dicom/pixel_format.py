"""What the pixels of a file should be, by its header, before any of them is touched.

Shape, bits and sign, and the refusals that follow from them alone.
"""

from dataclasses import dataclass

import numpy as np

from microcalc.intake.dicom.header import Header
from microcalc.intake.dicom.library import Rejected
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["PixelFormat", "pixel_format"]

FEWEST_BITS, MOST_BITS = 6, 16
"""Bits Stored that PS3.3 C.8.11.7 and its neighbours allow for a mammogram."""


@dataclass(frozen=True)
class PixelFormat:
    """Shape and encoding of one grey frame.

    Attributes:
        rows, cols: of the image.
        allocated: bits per pixel in the file, 8 or 16.
        stored: bits that carry the value.
        high_bit: number of the highest of them.
        signed: two's complement.
    """

    rows: int
    cols: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool

    @property
    def dtype(self) -> np.dtype[np.integer]:
        """Of the stored values in memory."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.allocated // 8}")

    @property
    def bytes(self) -> int:
        """Of all pixels, uncompressed."""
        return self.rows * self.cols * self.allocated // 8

    @property
    def lowest(self) -> int:
        """Smallest value that the stored bits can hold."""
        return -(1 << (self.stored - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """Largest value that the stored bits can hold."""
        return self.lowest + (1 << self.stored) - 1


def pixel_format(header: Header, *, largest_pixels: int) -> PixelFormat:
    """Read and check what the header says of the pixels.

    Raises:
        Rejected: nothing that a mammogram can be, or more pixels than the limit.
    """
    rows, cols = header.integer("Rows") or 0, header.integer("Columns") or 0
    if rows < 1 or cols < 1:
        raise Rejected(Verdict.PIXEL_FORMAT, f"an image must have rows and columns; the header has {rows} x {cols}")
    if rows * cols > largest_pixels:
        raise Rejected(
            Verdict.TOO_LARGE,
            f"at most {largest_pixels:,} pixels are read; the header declares {rows} x {cols}. "
            "If the image is really that large, read it with a higher limit: cohort inspect and from-dicom have "
            "--largest-pixels",
        )
    allocated = header.integer("BitsAllocated") or 0
    stored = header.integer("BitsStored") or allocated
    high_bit = header.integer("HighBit")
    high_bit = stored - 1 if high_bit is None else high_bit
    good = allocated in (8, 16) and FEWEST_BITS <= stored <= min(allocated, MOST_BITS)
    if not good or not stored - 1 <= high_bit < allocated:
        raise Rejected(
            Verdict.PIXEL_FORMAT,
            f"pixels must have 8 or 16 bits allocated, {FEWEST_BITS} to {MOST_BITS} of them stored; the header has "
            f"{allocated} allocated, {stored} stored, high bit {high_bit}",
        )
    return PixelFormat(rows, cols, allocated, stored, high_bit, signed=header.integer("PixelRepresentation") == 1)
