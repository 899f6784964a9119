"""Bootstrap limits: of the ROC curve, of its area, and of fractions; by image (the paper's way) or by patient.

How replicates are drawn is in `replicates`. Limits are percentiles (R's type 7).

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    checked_labels,
    checked_scores,
)
from microcalc.stats.replicates import CountArray, Descending, Resampling, percentiles, resampling, weighted_sums
from microcalc.stats.roc import roc_curve

__all__ = [
    "GRID_POINTS",
    "BootstrapInterval",
    "RocBand",
    "bootstrap_auc",
    "bootstrap_fractions",
    "roc_band",
]

GRID_POINTS = 101
"""Points of an ROC band: every whole percent of 1 - specificity."""


@dataclass(frozen=True)
class BootstrapInterval:
    """Percentile limits of k quantities; NaN and a reason where they are undefined.

    Attributes:
        estimate, low, high: (k,).
        used: (k,) replicates in which the quantity was defined.
        replicates: all.
        by: ``image`` or ``patient``.
        reason: why everything is NaN.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    used: IntArray
    replicates: int
    by: str
    reason: str = ""


@dataclass(frozen=True)
class RocBand:
    """Pointwise limits of an ROC curve; replicate curves are joined by straight lines, as the curve itself.

    Attributes:
        false_positive_rate: (g,) the grid.
        sensitivity, low, high: (g,) the curve of the data and the percentile limits.
        auc_low, auc_high: limits of the area from the same replicates.
        used, replicates: replicates in which both classes were drawn, and all.
        confidence: level of the limits.
        by: ``image`` or ``patient``.
        reason: why the limits are NaN; empty where they are not.
    """

    false_positive_rate: FloatArray
    sensitivity: FloatArray
    low: FloatArray
    high: FloatArray
    auc_low: float
    auc_high: float
    used: int
    replicates: int
    confidence: float
    by: str
    reason: str = ""


def bootstrap_auc(
    y_true: ArrayLike,
    scores: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    replicates: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> BootstrapInterval:
    """Percentile limits of the area under the ROC curve of each model.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        scores: (n,) or (n, k).
        clusters, replicates, seed: see `resampling`.
        confidence: level of the limits.

    Raises:
        StatisticsError: as `resampling`, or scores that are not finite.
    """
    malignant = checked_labels(y_true)
    table = checked_scores(scores, images=malignant.size)
    plan = resampling(malignant, clusters=clusters, replicates=replicates, seed=seed)
    areas = [np.concatenate([_areas(*c) for c in plan.counts(malignant, score)]) for score in table.T]
    return _interval(_own_areas(malignant, table), np.column_stack(areas), plan, confidence)


def bootstrap_fractions(
    y_true: ArrayLike, enters: ArrayLike, hits: ArrayLike, plan: Resampling, *, confidence: float = 0.95
) -> BootstrapInterval:
    """Percentile limits of fractions such as sensitivity or PPV.

    Args:
        y_true: (n,) 0 benign, 1 malignant; only its length is used.
        enters: (n, q) whether an image enters the denominator.
        hits: (n, q) whether it enters the numerator; only where it enters the denominator.
        plan: from `resampling`, made for the same images.
        confidence: level of the limits.

    Returns:
        Limits of the q fractions; a fraction of 0 or 1 has none, for every replicate would repeat it.

    Raises:
        StatisticsError: shapes that differ.
    """
    images = checked_labels(y_true).size
    below = np.asarray(enters, dtype=np.float64)
    above = np.asarray(hits, dtype=np.float64) * below
    if below.ndim != 2 or below.shape[0] != images or above.shape != below.shape or plan.images != images:
        raise StatisticsError(f"fractions need (n, q) entries for each of {images} images; shape {below.shape} came")
    sums = weighted_sums(np.hstack([above, below]), plan)
    replicates = _divide(sums[:, : above.shape[1]], sums[:, above.shape[1] :])
    estimate = _divide(above.sum(axis=0), below.sum(axis=0))
    return _interval(estimate, replicates, plan, confidence)


def roc_band(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    grid: ArrayLike | None = None,
    plan: Resampling | None = None,
    confidence: float = 0.95,
) -> RocBand:
    """Pointwise bootstrap limits of the ROC curve of one model (Figure 1b of the paper).

    Where a replicate rises straight up at a grid point, the upper end counts, as in the curve itself.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        y_score: (n,).
        grid: (g,) values of 1 - specificity; default every whole percent.
        plan: from `resampling`; default 1,000 replicates by image, seed 0.
        confidence: level of the limits.

    Raises:
        StatisticsError: labels or scores that are not usable, or a plan made for other images.
    """
    malignant = checked_labels(y_true)
    score = checked_scores(y_score, images=malignant.size)[:, 0]
    plan = plan or resampling(malignant)
    if plan.images != malignant.size:
        raise StatisticsError(f"the plan was made for {plan.images} images; {malignant.size} came")
    at = np.linspace(0, 1, GRID_POINTS) if grid is None else np.asarray(grid, dtype=np.float64)
    curve = roc_curve(malignant, score)
    if curve.reason:
        nothing = np.full(at.size, np.nan)
        nan = float("nan")
        return RocBand(at, nothing, nothing, nothing, nan, nan, 0, plan.replicates, confidence, plan.by, curve.reason)
    curves, areas = [], []
    for tp, fp in plan.counts(malignant, score):
        areas.append(_areas(tp, fp))
        curves.append(_interpolate(tp, fp, at))
    drawn = np.concatenate(areas)
    low, high = percentiles(np.concatenate(curves), plan, confidence=confidence)
    own = np.interp(at, curve.false_positive_rate, curve.sensitivity)
    area = _interval(_own_areas(malignant, score[:, None]), drawn[:, None], plan, confidence)
    ends = float(area.low[0]), float(area.high[0])
    used = int(np.isfinite(drawn).sum())
    return RocBand(at, own, low, high, *ends, used, plan.replicates, confidence, plan.by, plan.reason)


def _areas(tp: CountArray, fp: CountArray) -> FloatArray:
    heights = (tp[:, 1:] + tp[:, :-1]).astype(np.int64)
    doubled = np.einsum("ij,ij->i", heights, np.diff(fp, axis=1).astype(np.int64))
    return _divide(doubled, 2 * tp[:, -1].astype(np.int64) * fp[:, -1])


def _interpolate(tp: CountArray, fp: CountArray, at: FloatArray) -> FloatArray:
    rate, sensitivity = _divide(fp, fp[:, -1:]), _divide(tp, tp[:, -1:])
    return np.stack([np.interp(at, x, y) for x, y in zip(rate, sensitivity, strict=True)])


def _divide(above: FloatArray | IntArray | CountArray, below: FloatArray | IntArray | CountArray) -> FloatArray:
    out = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out


def _interval(estimate: FloatArray, replicates: FloatArray, plan: Resampling, confidence: float) -> BootstrapInterval:
    """Limits of the quantities that vary; where every replicate repeats the estimate there are none."""
    low, high = percentiles(replicates, plan, confidence=confidence)
    most = np.nanmax(replicates, axis=0, initial=-np.inf)
    varying = np.isfinite(estimate) & (most > np.nanmin(replicates, axis=0, initial=np.inf))
    low, high = np.where(varying, low, np.nan), np.where(varying, high, np.nan)
    used = np.isfinite(replicates).sum(axis=0).astype(np.int64)
    reason = ""
    if not np.isfinite(low).any():
        same = bool((2 * used >= plan.replicates).any())
        undefined = "undefined in the data or in more than half of the replicates"
        reason = plan.reason or ("every replicate repeats the estimate" if same else undefined)
    return BootstrapInterval(estimate, low, high, used, plan.replicates, plan.by, reason)


def _own_areas(malignant: BoolArray, table: FloatArray) -> FloatArray:
    ones = np.ones((1, malignant.size), dtype=np.int32)
    return np.array([_areas(*Descending.of(malignant, score).counts(ones))[0] for score in table.T])
