"""How well a heatmap finds a lesion whose mask is known: mass inside, and the pointing game.

Heatmaps come from ``gradcam``; masks from phantoms or readers. Numbers only, on arrays of one ROI, no torch.
"""

import math

import numpy as np
from numpy.typing import NDArray

from microcalc.errors import StatisticsError

__all__ = ["POINTING_TOLERANCE", "even_share", "pointing_hit", "share_inside"]

POINTING_TOLERANCE = 15
"""Pixels by which the strongest point may miss the mask and still hit (Zhang et al. 2018)."""

_PLATEAU = 1e-5
"""Part of the maximum by which values of one plateau may differ: enlarging in float32 rounds by some 1e-7."""


def share_inside(heatmap: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """Return the share of the heatmap's mass that lies inside the mask.

    What an even heatmap would reach is told by `even_share`.

    Args:
        heatmap: (h, w), finite, >= 0.
        mask: (h, w), true (or not 0) on the lesion.

    Returns:
        0 to 1; NaN where the heatmap is 0 everywhere, since it then points nowhere.

    Raises:
        StatisticsError: the shapes differ, or the heatmap has negative or non-finite values.
    """
    values, inside = _checked(heatmap, mask)
    mass = float(values.sum())
    return float(values[inside].sum()) / mass if mass > 0 else math.nan


def even_share(mask: NDArray[np.bool_], *, seen_side: int) -> float:
    """Return the share that an even heatmap would have inside the mask: the chance level of `share_inside`.

    A network that sees the central square of the image only has a heatmap that is 0 outside, so chance is reckoned
    in that square and not in the whole image.

    Args:
        mask: (h, w), true (or not 0) on the lesion.
        seen_side: side of the central square that the network saw, pixels, at most h and w.

    Returns:
        0 to 1.

    Raises:
        StatisticsError: the square is larger than the mask, or empty.
    """
    inside = np.asarray(mask).astype(bool)
    if inside.ndim != 2 or not 0 < seen_side <= min(inside.shape):
        raise StatisticsError(f"the seen square must lie in the mask (h, w); got {inside.shape} and side {seen_side}")
    top, left = ((side - seen_side) // 2 for side in inside.shape)
    return float(inside[top : top + seen_side, left : left + seen_side].mean())


def pointing_hit(
    heatmap: NDArray[np.floating], mask: NDArray[np.bool_], *, tolerance_pixels: float = POINTING_TOLERANCE
) -> bool:
    """Tell whether the strongest point of the heatmap lies on the mask or within a tolerance of it.

    Enlarged maps have plateaus at the border of the image; of equally strong points the one nearest to their centre
    counts, where equal is equal but for the rounding of the enlargement. A heatmap that is 0 everywhere, and an empty
    mask, are a miss. A heatmap of one cell is strong everywhere alike and cannot point: do not ask for it.

    Args:
        heatmap: (h, w), finite, >= 0.
        mask: (h, w), true (or not 0) on the lesion.
        tolerance_pixels: largest Euclidean distance from the mask that still hits.

    Raises:
        StatisticsError: the shapes differ, or the heatmap has negative or non-finite values.

    Source:
        Zhang et al., Top-down neural attention by excitation backprop, Int J Comput Vis 126:1084 (2018).
    """
    values, inside = _checked(heatmap, mask)
    if not inside.any() or not values.max() > 0:
        return False
    strongest = np.argwhere(values >= (1 - _PLATEAU) * values.max())
    centre = strongest.mean(axis=0)
    point = strongest[np.argmin(np.hypot(*(strongest - centre).T))]
    distances = np.hypot(*(np.argwhere(inside) - point).T)
    return bool(distances.min() <= tolerance_pixels)


def _checked(heatmap: NDArray[np.floating], mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, inside = np.asarray(heatmap, dtype=np.float64), np.asarray(mask).astype(bool)
    if values.ndim != 2 or values.shape != inside.shape:
        raise StatisticsError(f"heatmap and mask must be (h, w) alike; got {values.shape} and {inside.shape}")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise StatisticsError("a heatmap must be finite and not negative; got other values. Scale it with `heatmaps`")
    return values, inside
