"""How well a heatmap finds a lesion whose mask is known: mass inside, and the pointing game.

Heatmaps come from ``gradcam``; masks from phantoms or readers. Numbers only, on arrays of one ROI, no torch.
"""

import math

import numpy as np
from numpy.typing import NDArray

from microcalc.errors import StatisticsError

__all__ = ["POINTING_TOLERANCE", "cells_on_lesion", "even_share", "pointing_hit", "share_inside"]

POINTING_TOLERANCE = 15
"""Pixels by which the strongest cell's centre may miss the mask and still hit (Zhang et al. 2018)."""


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
    inside = _seen(mask, seen_side)
    top, left = ((side - seen_side) // 2 for side in inside.shape)
    return float(inside[top : top + seen_side, left : left + seen_side].mean())


def pointing_hit(cells: NDArray[np.floating], on_lesion: NDArray[np.bool_]) -> bool:
    """Tell whether the strongest cell of a map is one of those on the lesion.

    The cell speaks, not a pixel of the enlarged map, whose strongest point is pushed to the border. Of equally strong
    cells the one nearest to their centre counts. A map that is 0 everywhere is a miss. A map of one cell cannot point:
    do not ask for it.

    Args:
        cells: (m, n) of the map before it was enlarged, finite, >= 0.
        on_lesion: (m, n) from `cells_on_lesion`; its mean is the chance of a hit.

    Raises:
        StatisticsError: the shapes differ, or the map has negative or non-finite values.

    Source:
        Zhang et al., Top-down neural attention by excitation backprop, Int J Comput Vis 126:1084 (2018).
    """
    values, on_lesion = _checked(cells, on_lesion)
    if not values.max() > 0:
        return False
    strongest = np.argwhere(values == values.max())
    row, column = strongest[np.argmin(np.hypot(*(strongest - strongest.mean(axis=0)).T))]
    return bool(on_lesion[row, column])


def cells_on_lesion(
    mask: NDArray[np.bool_],
    grid: tuple[int, ...],
    *,
    seen_side: int,
    tolerance_pixels: float = POINTING_TOLERANCE,
) -> NDArray[np.bool_]:
    """Tell of each cell of a map whether its centre lies on the mask or near: their share is the chance of a hit.

    Args:
        mask: (h, w), true (or not 0) on the lesion.
        grid: rows and columns of cells over the central square.
        seen_side: side of that square, pixels.
        tolerance_pixels: largest Euclidean distance from the mask.

    Returns:
        (m, n).

    Raises:
        StatisticsError: the square is larger than the mask, or empty.
    """
    inside = _seen(mask, seen_side)
    on_lesion = np.zeros(grid, dtype=bool)
    lesion = np.argwhere(inside)
    if not lesion.size:
        return on_lesion
    rows, columns = (
        (side - seen_side) / 2 + (np.arange(count) + 0.5) * seen_side / count - 0.5
        for side, count in zip(inside.shape, grid, strict=True)
    )
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            on_lesion[i, j] = np.hypot(lesion[:, 0] - row, lesion[:, 1] - column).min() <= tolerance_pixels
    return on_lesion


def _seen(mask: NDArray[np.bool_], seen_side: int) -> NDArray[np.bool_]:
    inside = np.asarray(mask).astype(bool)
    if inside.ndim != 2 or not 0 < seen_side <= min(inside.shape):
        raise StatisticsError(f"the seen square must lie in the mask (h, w); got {inside.shape} and side {seen_side}")
    return inside


def _checked(heatmap: NDArray[np.floating], mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, inside = np.asarray(heatmap, dtype=np.float64), np.asarray(mask).astype(bool)
    if values.ndim != 2 or values.shape != inside.shape:
        raise StatisticsError(
            f"a map and what it is held against must be (h, w) alike; got {values.shape} and {inside.shape}"
        )
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise StatisticsError("a heatmap must be finite and not negative; got other values. Scale it with `heatmaps`")
    return values, inside
