"""Small made-up tables, images and cohorts for the tests of cohort and intake."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microcalc.cohort import ROI_SIDE, Cohort, CohortWriter, encode_png, read_cohort, validate_table


def picture(number: int = 0, side: int = ROI_SIDE) -> NDArray[np.uint16]:
    """A ramp that is another one for each number, quick to compress, with black and white in it."""
    rows = np.arange(side, dtype=np.uint32)[:, None]
    out = np.broadcast_to((rows * 65535 // (side - 1)).astype(np.uint16), (side, side)).copy()
    out[0, 1] = number
    return out


def table(patients: Sequence[str], labels: Sequence[int], **columns: Sequence[object]) -> pd.DataFrame:
    """A checked table with images i000, i001, ..."""
    raw = {"image_id": [f"i{k:03d}" for k in range(len(labels))], "patient_id": list(patients), "label": list(labels)}
    return validate_table(pd.DataFrame(raw | {k: list(v) for k, v in columns.items()}), source="test.csv")


def cohort(folder: Path, rows: pd.DataFrame | None = None, *, synthetic: bool = False) -> Cohort:
    """A cohort on disk; by default of twelve images of twelve patients, every second malignant."""
    if rows is None:
        rows = table([f"p{k}" for k in range(12)], [0, 1] * 6)
    with CohortWriter(folder, sources=[{"kind": "test"}], synthetic=synthetic) as writer:
        for number, row in enumerate(rows.to_dict(orient="records")):
            writer.add({str(k): v for k, v in row.items()}, picture(number))
    return read_cohort(folder)


def names_in(folder: Path) -> list[str]:
    """Names of everything in a folder, hidden things too."""
    return sorted(path.name for path in folder.iterdir())


def encode_sample(number: int = 0, side: int = ROI_SIDE) -> bytes:
    """PNG file of `picture`."""
    return encode_png(picture(number, side))
