"""From stored values to the greys that a radiologist sees: one ramp, or one table.

A `GreyScale` is all that is left of the modality transformation, the VOI transformation and the presentation: a
straight ramp between two ends where all of them are straight, else a table over the stored values. How it follows
from a header is in `microcalc.intake.dicom.windows`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["GreyScale"]

BLOCK = 1 << 16
"""Pixels that are worked on at once: they stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class GreyScale:
    """Grey of a stored value x: ``slope * x + intercept``, or ``table[x - first]``; kept in [0, 1].

    Attributes:
        slope, intercept: of the ramp.
        table: float32, one grey per stored value from ``first``; None where the ramp is used.
        first: stored value of the table's first entry.
        padding: first and last stored value of what surrounds the image; they become black.
    """

    slope: float = 0.0
    intercept: float = 0.0
    table: NDArray[np.float32] | None = None
    first: int = 0
    padding: tuple[int, int] | None = None

    def apply(self, stored: NDArray[np.integer]) -> NDArray[np.float32]:
        """Greys of stored values.

        Args:
            stored: (rows, cols), or any other shape.

        Returns:
            The same shape.
        """
        greys = self._by_table(stored) if self.table is not None else self._by_ramp(stored)
        if self.padding is not None and not self._padding_is_black():
            low, high = self.padding
            greys[(stored >= low) & (stored <= high)] = 0.0
        return greys

    def inverted(self) -> "GreyScale":
        """Black for white; padding stays black."""
        table = None if self.table is None else np.float32(1) - self.table
        return replace(self, slope=-self.slope, intercept=1.0 - self.intercept, table=table)

    def _by_ramp(self, stored: NDArray[np.integer]) -> NDArray[np.float32]:
        greys = np.empty(stored.shape, np.float32)
        slope, intercept = np.float32(self.slope), np.float32(self.intercept)
        rows = max(1, BLOCK // max(1, stored[:1].size))
        for row in range(0, len(stored), rows):
            part = greys[row : row + rows]
            np.multiply(stored[row : row + rows], slope, out=part)
            if intercept:
                part += intercept
            np.clip(part, 0, 1, out=part)
        return greys

    def _by_table(self, stored: NDArray[np.integer]) -> NDArray[np.float32]:
        table = self.table
        if table is None:
            return self._by_ramp(stored)
        # One grey for each pattern of bits, so that signed values need no copy to be looked up.
        bits = np.dtype(f"u{stored.dtype.itemsize}")
        patterns = np.arange(1 << (8 * bits.itemsize), dtype=bits).view(stored.dtype).astype(np.int64)
        whole = table[np.clip(patterns - self.first, 0, len(table) - 1)]
        return np.take(whole, stored.view(bits))

    def _padding_is_black(self) -> bool:
        """Whether the ramp or table makes the padding black anyhow, so that nothing need be done."""
        if self.padding is None:
            return True
        ends = np.array(self.padding, np.int32)
        if self.table is None:
            return bool((self.slope * ends + self.intercept <= 0).all())
        low, high = np.clip(ends - self.first, 0, len(self.table) - 1)
        return not self.table[low : high + 1].any()
