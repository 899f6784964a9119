"""Heatmaps of a reading on the disk and on the way to the page: 8 bits for each pixel of the ROI."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microcalc.cohort.storage import atomic_path
from microcalc.errors import MicrocalcError

__all__ = ["BRIGHTEST", "Heat", "open_heat", "packed_heat", "write_heat"]

BRIGHTEST = 255
"""Number of a heatmap's 1.0."""

GZIP_WINDOW, FASTEST = 31, 1

Heat = NDArray[np.uint8]
"""(512, 512), 0 to 255 for 0 to 1."""


def write_heat(path: Path, heatmaps: Mapping[str, NDArray[np.float32]]) -> None:
    """One npy file for each network in a zip; not compressed, since a reader waits for it and images are far larger."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, heatmap in heatmaps.items():
            numbers: Heat = np.rint(np.clip(heatmap, 0, 1) * BRIGHTEST).astype(np.uint8)
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, numbers, allow_pickle=False)


def open_heat(path: Path, only: str | None = None) -> dict[str, Heat]:
    """Heatmaps of a reading, by network, and ``ensemble``.

    Args:
        path: file of the reading.
        only: the one that is wanted; nothing comes back where the reading has none of that name.

    Raises:
        MicrocalcError: the file is missing.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if only in (None, name)}
    except FileNotFoundError as error:
        raise MicrocalcError(
            f"{path}: the heatmaps of a reading must be in the data folder; they are not. Bring them back from a "
            "backup, or read the square again"
        ) from error


def packed_heat(content: bytes) -> bytes:
    """Bytes of heatmaps, row by row, as gzip."""
    packer = zlib.compressobj(FASTEST, zlib.DEFLATED, GZIP_WINDOW)
    return packer.compress(content) + packer.flush()
