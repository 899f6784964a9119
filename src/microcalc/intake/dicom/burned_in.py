"""Text outside the breast, found in the pixels: letters are bright strokes on black, in small groups.

The image is looked at in blocks; a block of text holds both black and bright. Blocks that hang together with the
breast, single specks, lines and white edges do not count. It is a suspicion for a person to look at, as
lead markers of films, labels and scratches raise it too; nothing is ever cropped or painted over.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from microcalc.intake.dicom.greys import GreyScale

__all__ = ["suspected_text"]

BLOCK = 16
"""Side of the blocks, pixels; letters are 20 pixels high and more."""

CONTRAST = 0.3
"""Difference of greys inside a block of text, of a range of 1."""

FEWEST_BLOCKS = 3
"""Of a group that counts: two letters."""

THICKEST_LINE = 1
"""Blocks across of a group that is a line, not text, when it is longer than `LONGEST_WORD`."""

LONGEST_WORD = 40
MOST_OF_IMAGE = (0.2, 0.6)
"""Share of the image that a group of text takes at most, along its shorter and its longer side."""

MOST_AT_EDGE = 0.2
"""Share along the longer side of a group that touches the border: white edges of films are longer."""

Blocks = NDArray[np.float32]


def suspected_text(stored: NDArray[np.integer], greys: GreyScale) -> list[tuple[int, int, int, int]]:
    """Where text seems to be burned in outside the breast.

    Args:
        stored: (rows, cols) stored values.
        greys: of the image, breast bright on black.

    Returns:
        First row and column, last row and column of each suspicious group.
    """
    dark, bright = _extremes(stored, greys)
    if min(dark.shape) < 8:
        return []
    groups, count = ndimage.label(bright > CONTRAST / 2, structure=np.ones((3, 3)))
    if count < 2:
        return []
    breast = int(np.bincount(groups.ravel())[1:].argmax()) + 1
    strokes = np.bincount(groups[bright - dark > CONTRAST], minlength=count + 1)  # blocks of each group; 0 are none
    found = []
    for number, place in enumerate(ndimage.find_objects(groups), start=1):
        if place is None or number == breast or strokes[number] < FEWEST_BLOCKS or not _is_text(place, dark.shape):
            continue
        top, left, bottom, right = place[0].start, place[1].start, place[0].stop, place[1].stop
        found.append((top * BLOCK, left * BLOCK, bottom * BLOCK - 1, right * BLOCK - 1))
    return found


def _extremes(stored: NDArray[np.integer], greys: GreyScale) -> tuple[Blocks, Blocks]:
    """Darkest and brightest grey of each block, (rows / BLOCK, cols / BLOCK) each, along the block's middle row.

    One row in sixteen is enough: a letter is higher, and it is the strokes beside each other that make a block text.
    Of the columns every other one: a stroke has three pixels and more.
    """
    cols = stored.shape[1] // BLOCK * BLOCK
    part = stored[BLOCK // 2 :: BLOCK, :cols:2]
    first, second = greys.apply(_across(part, np.minimum)), greys.apply(_across(part, np.maximum))
    return np.minimum(first, second), np.maximum(first, second)


def _across(values: NDArray[np.integer], choose: np.ufunc) -> NDArray[np.integer]:
    """Extremes along each run of half a `BLOCK`, by halving: five times faster than numpy's own along short rows."""
    for _ in range(BLOCK.bit_length() - 2):
        values = choose(values[:, ::2], values[:, 1::2])
    return values


def _is_text(place: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    sides = [s.stop - s.start for s in place]
    inside = all(s.start > 0 and s.stop < n for s, n in zip(place, shape, strict=True))
    shares = sorted(side / n for side, n in zip(sides, shape, strict=True))
    longest = MOST_OF_IMAGE[1] if inside else MOST_AT_EDGE
    line = min(sides) <= THICKEST_LINE and max(sides) > LONGEST_WORD
    return shares[0] <= MOST_OF_IMAGE[0] and shares[1] <= longest and not line
