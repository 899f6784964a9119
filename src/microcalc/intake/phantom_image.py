"""One phantom image: tissue and lesion together, quantised, with its lesion's mask, as PNG files.

Who is imaged and how is decided in `microcalc.intake.phantom_patients`.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from microcalc.cohort.marks import SYNTHETIC_TEXTS, text_chunks
from microcalc.intake.phantom_lesion import Arrangement, Projection, Sighting, draw, project
from microcalc.intake.phantom_tissue import Grey

__all__ = ["GREY_STEP", "PNG_TEXT", "Picture", "compose", "lesion_mask", "to_png"]

GREY_STEP = 16
"""Grey levels are multiples of this: a detector of 12 bits, in 16."""

MASK_REACH_MM = 2.5
MASK_MARGIN_MM = 1.0
"""Gaps up to twice the reach are closed; around the calcifications stays the margin."""

MASK_BLOCK = 4
"""Pixels that the mask's outline is drawn in."""

PNG_TEXT = SYNTHETIC_TEXTS
"""Text chunks of every PNG, so that an image that has lost its cohort still says what it is."""


@dataclass(frozen=True)
class Picture:
    """One finished image.

    Attributes:
        pixels: (side, side) uint16.
        mask: (side, side) true on the lesion.
        sighting: the calcifications in sight.
    """

    pixels: NDArray[np.uint16]
    mask: NDArray[np.bool_]
    sighting: Sighting


def compose(tissue: Grey, arrangement: Arrangement, view: Projection) -> Picture:
    """Draw a lesion on tissue.

    Args:
        tissue: (side, side) grey levels; not changed.
        arrangement: the lesion in the breast.
        view: how it is looked at.
    """
    side = len(tissue)
    sighting = project(arrangement, view, side)
    grey = tissue + draw(arrangement, view, sighting, side)
    steps = np.clip(np.rint(grey / GREY_STEP), 0, 65535 // GREY_STEP)
    return Picture((steps * GREY_STEP).astype(np.uint16), lesion_mask(sighting, view, side), sighting)


def lesion_mask(sighting: Sighting, view: Projection, side: int) -> NDArray[np.bool_]:
    """(side, side) region of the lesion: its calcifications, the gaps between near ones, and a margin."""
    cells = side // MASK_BLOCK
    free = np.ones((cells, cells), dtype=bool)
    at = np.clip((sighting.centres // MASK_BLOCK).astype(np.int64), 0, cells - 1)
    free[at[:, 0], at[:, 1]] = False
    if free.all():
        return np.zeros((side, side), dtype=bool)
    cells_per_mm = view.pixels_per_mm / MASK_BLOCK
    reached = ndimage.distance_transform_edt(free) <= MASK_REACH_MM * cells_per_mm
    # Beyond the edge counts as reached: closing must not eat a lesion that runs out of the image.
    shrunk = ndimage.distance_transform_edt(reached) > (MASK_REACH_MM - MASK_MARGIN_MM) * cells_per_mm
    return np.repeat(np.repeat(shrunk, MASK_BLOCK, axis=0), MASK_BLOCK, axis=1)


def to_png(pixels: NDArray[np.uint16] | NDArray[np.bool_]) -> bytes:
    """Grey PNG: 16 bit of uint16, 8 bit (0 and 255) of booleans, with `PNG_TEXT`.

    Rows are stored as the difference to the row above and packed by Huffman codes alone: grain does not repeat, so a
    search for repetitions costs ten times the time and gains nothing. PNG specification (W3C, third edition), filter
    type 2 (Up), compression method 0.
    """
    deep = pixels.dtype == np.uint16
    levels = pixels.astype(">u2") if deep else np.where(pixels, 255, 0).astype(np.uint8)
    octets = levels.view(np.uint8).reshape(len(levels), -1)
    lines = np.full((len(levels), octets.shape[1] + 1), 2, dtype=np.uint8)
    lines[0, 1:] = octets[0]
    np.subtract(octets[1:], octets[:-1], out=lines[1:, 1:])
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY if deep else zlib.Z_RLE)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16 if deep else 8, 0, 0, 0, 0)
    packed = packer.compress(lines.tobytes()) + packer.flush()
    chunks = (_chunk(b"IHDR", header), text_chunks(), _chunk(b"IDAT", packed), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
