"""An image as somebody brings it: a mammogram in DICOM, or a square that is cut already as PNG, TIFF or JPEG.

The kind is told by the content, never by the name.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microcalc.cohort.images import read_roi
from microcalc.errors import ImageError
from microcalc.intake.dicom import Mammogram, ReadOptions, Refusal, read_mammogram

__all__ = ["Square", "mammogram_or_error", "open_image"]

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+", b"\xff\xd8\xff")
"""How PNG, TIFF and JPEG files begin. A DICOM file may begin with the same four bytes as a TIFF file; it has its own
mark 128 bytes on."""

_MARK_AT, _MARK = 128, b"DICM"


@dataclass(frozen=True, eq=False)
class Square:
    """A square that is cut already: (512, 512) uint16."""

    pixels: NDArray[np.uint16]


def open_image(path: Path, options: ReadOptions) -> Square | Mammogram | Refusal:
    """Open an image.

    Args:
        path: of the file.
        options: how DICOM is read.

    Raises:
        ImageError: a picture that is damaged, of another size, or not grey.
        MissingDependencyError: a DICOM file, and pydicom is not installed.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_MARK_AT + len(_MARK))
    except OSError:
        return read_mammogram(path, options)  # which says what is wrong with the file
    if head.startswith(_PICTURES) and head[_MARK_AT:] != _MARK:
        return Square(read_roi(path))
    return read_mammogram(path, options)


def mammogram_or_error(path: Path, options: ReadOptions) -> Square | Mammogram:
    """Open an image; a refusal becomes an error.

    Raises:
        ImageError: the image cannot be read; says why and what to do.
    """
    image = open_image(path, options)
    if isinstance(image, Refusal):
        raise ImageError(f"{path}: {image.message}")
    return image
