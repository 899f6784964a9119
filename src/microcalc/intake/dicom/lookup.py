"""Lookup tables of a header: descriptor and data, as DICOM writes them and as devices do.

Source: DICOM PS3.3 C.11.1.1 and C.11.2.1.1.
"""

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.dicom.header import Header
from microcalc.intake.dicom.library import CONTENT_ERRORS

__all__ = ["Lookup", "read_lookup"]

MOST_ENTRIES = 1 << 16


@dataclass(frozen=True, eq=False)
class Lookup:
    """A table over input values from ``first``; what lies beside it gets the nearest entry.

    Attributes:
        first: input value of the first entry.
        data: outputs.
        highest: largest output that its bits allow.
        explanation: its name.
    """

    first: int
    data: NDArray[np.float64]
    highest: float
    explanation: str

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Outputs; inputs between two entries are rounded."""
        inputs = np.rint(np.clip(values, -1e9, 1e9)).astype(np.int64)
        lowest = inputs.min() if inputs.size else 0
        first = self.first
        if first >= 1 << 15 and lowest < 0:  # a negative number, read as unsigned
            first -= 1 << 16
        return self.data[np.clip(inputs - first, 0, len(self.data) - 1)]


def read_lookup(item: Header) -> Lookup | None:
    """Read an item of a Modality or VOI LUT Sequence; None where it cannot be used."""
    descriptor = item.numbers("LUTDescriptor")
    if len(descriptor) != 3 or not all(math.isfinite(v) for v in descriptor):
        return None
    entries, first, bits = (int(v) for v in descriptor)
    entries = entries % MOST_ENTRIES or MOST_ENTRIES  # 0 stands for 65,536; a negative count was read as signed
    if not 1 <= bits <= 16:
        return None
    data = _data(item.raw("LUTData"), entries, little_endian=item.little_endian)
    if data is None or len(data) == 0:
        return None
    highest = float((1 << bits) - 1)
    if data.max() > highest:  # devices write 8 and mean 16
        highest = float(255 if data.max() <= 255 else 65_535)
    return Lookup(first, data.astype(np.float64), highest, item.text("LUTExplanation") or item.text("ModalityLUTType"))


def _data(value: object, entries: int, *, little_endian: bool) -> NDArray[np.int64] | None:
    """The first ``entries`` outputs; None where there are fewer."""
    try:
        if isinstance(value, bytes | bytearray):
            wide = "<u2" if little_endian else ">u2"
            kind = wide if len(value) >= 2 * entries else "u1"
            found = np.frombuffer(value, kind)
        else:
            found = np.array(cast("list[int]", value), np.int64).reshape(-1)
    except CONTENT_ERRORS:
        return None
    found = found.astype(np.int64) & 0xFFFF  # signed data are the same bits
    return found[:entries] if len(found) >= entries else None
