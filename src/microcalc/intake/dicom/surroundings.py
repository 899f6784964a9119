"""What the pixels say against the header: a bright background, and text outside the breast.

Both look at every eighth pixel or so, never at all of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Background", "judge_background", "sample_step"]

SAMPLED = 100
"""Rows and columns, about, that are looked at."""

FRAME = (0.02, 0.08)
"""Where the frame begins and ends, of the image's shorter side: inside the white edges that scanned films have."""

FLAT = 0.04
"""Standard deviation, of a range of 1, below which a part of the border counts as empty."""

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Background:
    """What surrounds the breast.

    Attributes:
        bright: the empty part of the border is brighter than the breast.
        clear: the border has an empty part at all; a spot view may fill the image.
    """

    bright: bool
    clear: bool


def sample_step(shape: tuple[int, ...]) -> int:
    """Every how many pixels are looked at."""
    return max(1, min(shape[:2]) // SAMPLED)


def judge_background(sample: Grey, valid: NDArray[np.bool_]) -> Background:
    """Whether the empty surroundings are dark, as they should be.

    Args:
        sample: (rows, cols) greys of every so many pixels.
        valid: (rows, cols) where there is no padding.
    """
    outer, inner_edge = (max(1, round(min(sample.shape) * share)) for share in FRAME)
    valid = valid[outer:-outer, outer:-outer]
    sample = sample[outer:-outer, outer:-outer]
    width = inner_edge - outer + 1
    frame = np.ones(sample.shape, bool)
    frame[width:-width, width:-width] = False
    border, inner = sample[frame & valid], sample[~frame & valid]
    if not len(border) or not len(inner):
        return Background(bright=False, clear=False)
    dark, bright = _empty_share(border, inner, bright=False), _empty_share(border, inner, bright=True)
    return Background(bright=bright > 0.4 and bright > 2 * dark, clear=max(dark, bright) > 0.2)


def _empty_share(border: Grey, inner: Grey, *, bright: bool) -> float:
    """Share of the border that is flat and at one end of the inner greys."""
    border, inner = (1 - border, 1 - inner) if bright else (border, inner)
    low, high = np.quantile(inner, (0.02, 0.98))
    end = low + 0.25 * (high - low)
    part = border[border <= end]
    if len(part) < 8 or high - low < 1e-6:
        return 0.0
    middle = np.median(part)
    return float((np.abs(part - middle) < FLAT).sum() / len(border))
