"""Masks of lesions: files that are 0 outside a lesion, as DICOM, PNG or TIFF; read, told from cut-outs, and boxed.

In CBIS-DDSM mask and cut-out of a lesion lie in one series under names that say nothing, and some descriptions are
swapped, so a mask is known by its content: it has two values, and the shape of its mammogram.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microcalc.cohort.images import read_mask
from microcalc.errors import ImageError
from microcalc.intake.crop import Box, box_of_mask
from microcalc.intake.dicom import VERDICT_MEANING, ReadOptions, Refusal, read_mammogram

__all__ = ["SAME_SHAPE", "MarkedBox", "lesion_box"]

SAME_SHAPE = 0.01
"""Difference of two aspect ratios up to which a mask is its mammogram at another size. Some masks of CBIS-DDSM were
made on scans of another resolution (4386 x 1789 for 5041 x 2056)."""

_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")

_ON_OFF = 2
"""Different values of a mask."""


@dataclass(frozen=True)
class MarkedBox:
    """Where a mask says that the lesion lies.

    Attributes:
        box: in the mammogram's pixels.
        remarks: code and words of what a person must know.
    """

    box: Box
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Picture:
    pixels: NDArray[np.generic]
    description: str


def lesion_box(paths: Sequence[Path], shape: tuple[int, ...], *, largest_pixels: int) -> MarkedBox:
    """The lesion's box from its mask.

    Args:
        paths: the mask; of several files the one that is a mask by its content.
        shape: rows and columns of the mammogram.
        largest_pixels: beyond which a file is refused.

    Raises:
        ImageError: no mask, or it cannot be read, is empty, or has another shape; the message names no file.
    """
    if not paths:
        raise ImageError("a lesion must have a box or a mask; it has neither")
    if len(paths) == 1:
        return _boxed(_read(paths[0], largest_pixels), shape)
    pictures = [_read(path, largest_pixels) for path in paths]
    masks = [picture for picture in pictures if _is_mask(picture.pixels)]
    fitting = [picture for picture in masks if _same_shape(picture.pixels.shape, shape)] or masks
    if len(fitting) != 1:
        sizes = ", ".join("{} x {}".format(*picture.pixels.shape) for picture in pictures)
        raise ImageError(
            f"one of the lesion's {len(paths)} files must be a mask (two values, the shape of the mammogram "
            f"{shape[0]} x {shape[1]}); {len(fitting) or 'none'} of them are ({sizes})"
        )
    marked = _boxed(fitting[0], shape)
    if "crop" in fitting[0].description:
        swapped = ("mask-swapped", "mask and cut-out have each other's description; told apart by their content")
        return MarkedBox(marked.box, (*marked.remarks, swapped))
    return marked


def _boxed(mask: _Picture, shape: tuple[int, ...]) -> MarkedBox:
    own = mask.pixels.shape
    box = box_of_mask(mask.pixels)
    if own == shape:
        return MarkedBox(box)
    sizes = f"mask {own[0]} x {own[1]}, mammogram {shape[0]} x {shape[1]}"
    if not _same_shape(own, shape):
        raise ImageError(f"a mask must have the shape of its mammogram; {sizes} (rows x columns)")
    scaled = box.scaled(shape[0] / own[0], shape[1] / own[1])
    return MarkedBox(scaled, (("mask-resized", f"the mask has another size than its mammogram; scaled ({sizes})"),))


def _is_mask(pixels: NDArray[np.generic]) -> bool:
    lowest, highest = pixels.min(), pixels.max()
    values = 1 + int(lowest != highest)
    return values <= _ON_OFF and bool(((pixels == lowest) | (pixels == highest)).all()) and int(lowest) == 0


def _same_shape(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return abs((one[0] / other[0]) / (one[1] / other[1]) - 1) <= SAME_SHAPE


def _read(path: Path, largest_pixels: int) -> _Picture:
    if path.suffix.casefold() in _PICTURES:
        try:
            return _Picture(read_mask(path), "")
        except ImageError as error:
            raise ImageError(f"the mask cannot be used: {str(error).removeprefix(f'{path}: ')}") from error
    options = ReadOptions(accept_derived=True, largest_pixels=largest_pixels, check_pixels=False)
    answer = read_mammogram(path, options)
    if isinstance(answer, Refusal):
        raise ImageError(f"the mask cannot be used: {VERDICT_MEANING[answer.code]}")
    return _Picture(answer.stored, answer.facts.series_description.casefold())
