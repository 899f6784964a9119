"""Empirical ROC and precision-recall curves, and areas under parts of them.

Whole areas and their covariance are in `auc`, bands in `bootstrap`, drawing in `report.figures`. The ROC curve is
joined by straight lines (ties become slopes); the precision-recall curve is a step curve, since straight lines between
its points promise precision that no cut-off has (Davis and Goadrich, ICML 2006).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.inputs import FloatArray, checked_labels, checked_scores
from microcalc.stats.operating_point import candidate_counts
from microcalc.stats.replicates import CountArray, Descending, Resampling, percentiles

__all__ = ["Axis", "PartialAuc", "PrecisionRecall", "RocCurve", "partial_auc", "precision_recall", "roc_curve"]


class Axis(StrEnum):
    """Which axis a part of the ROC curve is cut out along."""

    SPECIFICITY = "specificity"
    SENSITIVITY = "sensitivity"


@dataclass(frozen=True)
class RocCurve:
    """Corners of an ROC curve from (0, 0) to (1, 1); straight lines between them give the area with ties as one half.

    Attributes:
        false_positive_rate: (u + 1,) 1 - specificity, rising; NaN without benign images.
        sensitivity: (u + 1,) NaN without malignant images.
        cutoffs: (u + 1,) falling to ``-inf``; the rule is score > cut-off.
        reason: why the curve is NaN; empty where it is not.
    """

    false_positive_rate: FloatArray
    sensitivity: FloatArray
    cutoffs: FloatArray
    reason: str = ""


@dataclass(frozen=True)
class PartialAuc:
    """Area under a part of the ROC curve.

    Attributes:
        axis, low, high: the part, such as specificity from 0.8 to 1.
        area: between 0 and high - low.
        standardised: McClish's, 0.5 for chance and 1 for perfect; NaN where the area is below that of chance.
        limits, limits_standardised: (low, high) bootstrap percentiles; NaN without a plan.
        by: what the bootstrap drew, ``image`` or ``patient``; empty without one.
        reason: why something is NaN.
    """

    axis: Axis
    low: float
    high: float
    area: float
    standardised: float
    limits: tuple[float, float]
    limits_standardised: tuple[float, float]
    by: str
    reason: str = ""


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision (PPV) against recall (sensitivity) over every cut-off, as steps.

    Attributes:
        recall: (u,) rising.
        precision: (u,) at the same cut-off.
        average_precision: sum of precision times the rise in recall.
        low, high: bootstrap percentiles; NaN without a plan.
        prevalence: the average precision of chance.
        by: what the bootstrap drew; empty without one.
        reason: why everything is NaN.
    """

    recall: FloatArray
    precision: FloatArray
    average_precision: float
    low: float
    high: float
    prevalence: float
    by: str
    reason: str = ""


def roc_curve(y_true: ArrayLike, y_score: ArrayLike) -> RocCurve:
    """Trace sensitivity against 1 - specificity over every cut-off that makes a difference.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        y_score: (n,).

    Raises:
        StatisticsError: labels other than 0 and 1, scores that are not finite, lengths that differ.
    """
    malignant = checked_labels(y_true)
    score = checked_scores(y_score, images=malignant.size)[:, 0]
    m, n = int(malignant.sum()), int((~malignant).sum())
    cutoffs, tp, fp = candidate_counts(malignant, score)
    reason = "" if min(m, n) else f"an ROC curve needs both classes; {m} malignant and {n} benign images came"
    return RocCurve(
        false_positive_rate=fp[::-1] / n if n else np.full(fp.size, np.nan),
        sensitivity=tp[::-1] / m if m else np.full(tp.size, np.nan),
        cutoffs=cutoffs[::-1].copy(),
        reason=reason,
    )


def partial_auc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    axis: Axis | str = Axis.SPECIFICITY,
    part: tuple[float, float] = (0.8, 1.0),
    plan: Resampling | None = None,
    confidence: float = 0.95,
) -> PartialAuc:
    """Area under a part of the ROC curve, straight lines between its corners.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        y_score: (n,).
        axis: along which the part is cut out.
        part: its ends, such as specificity 0.8 to 1.
        plan: bootstrap for the limits.
        confidence: their level.

    Raises:
        StatisticsError: a part that is not inside [0, 1], labels or scores that are not usable.

    Source: McClish, Med Decis Making 9:190 (1989); as pROC's ``partial.auc`` and ``partial.auc.correct``.
    """
    low, high = part
    if not 0 <= low < high <= 1:
        raise StatisticsError(f"a part of the curve must lie in [0, 1] with low < high, such as 0.8 to 1; {part} came")
    malignant = checked_labels(y_true)
    score = checked_scores(y_score, images=malignant.size)[:, 0]
    along, nothing = Axis(axis), (np.nan, np.nan)
    curve = roc_curve(malignant, score)
    if curve.reason:
        return PartialAuc(along, low, high, np.nan, np.nan, nothing, nothing, "", curve.reason)
    area = float(_part_area(curve.false_positive_rate[None], curve.sensitivity[None], along, part)[0])
    standardised = float(_mcclish(np.array([area]), part)[0])
    reason = "" if standardised >= 0.5 else "an area below that of chance has no standardised value"
    drawn = np.array([]) if plan is None else _drawn_areas(plan.counts(malignant, score), along, part)
    return PartialAuc(
        axis=along,
        low=low,
        high=high,
        area=area,
        standardised=np.nan if reason else standardised,
        limits=_limits(drawn, plan, confidence),
        limits_standardised=nothing if reason else _limits(_mcclish(drawn, part), plan, confidence),
        by=plan.by if plan else "",
        reason=reason,
    )


def precision_recall(
    y_true: ArrayLike, y_score: ArrayLike, *, plan: Resampling | None = None, confidence: float = 0.95
) -> PrecisionRecall:
    """Trace precision against recall, and take the average precision.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        y_score: (n,).
        plan: bootstrap for the limits.
        confidence: their level.

    Raises:
        StatisticsError: labels other than 0 and 1, scores that are not finite, lengths that differ.
    """
    malignant = checked_labels(y_true)
    score = checked_scores(y_score, images=malignant.size)[:, 0]
    if not malignant.any():
        nothing, nan = np.array([np.nan]), float("nan")
        reason = "precision and recall need malignant images; none came"
        return PrecisionRecall(nothing, nothing, nan, nan, nan, 0.0, "", reason)
    tp, fp = Descending.of(malignant, score).counts(np.ones((1, malignant.size), dtype=np.int32))
    recall, precision = tp[0, 1:] / tp[0, -1], tp[0, 1:] / (tp[0, 1:] + fp[0, 1:])
    drawn = [] if plan is None else [_average_precision(*c) for c in plan.counts(malignant, score)]
    low, high = _limits(np.concatenate(drawn) if drawn else np.array([]), plan, confidence)
    average = float(_average_precision(tp, fp)[0])
    return PrecisionRecall(recall, precision, average, low, high, float(malignant.mean()), plan.by if plan else "")


def _part_area(x: FloatArray, y: FloatArray, axis: Axis, part: tuple[float, float]) -> FloatArray:
    """(b,) areas over [low, high] of one axis under b curves (b, v) of rising x (false-positive rate) and y."""
    if axis == Axis.SPECIFICITY:
        start, stop = 1 - part[1], 1 - part[0]
    else:  # seen from the other side: specificity over sensitivity
        x, y, (start, stop) = y, 1 - x, part
    steps = np.cumsum(np.diff(x, axis=1) * (y[:, 1:] + y[:, :-1]) / 2, axis=1)
    whole = np.hstack([np.zeros((x.shape[0], 1)), steps])
    return _area_up_to(stop, x, y, whole) - _area_up_to(start, x, y, whole)


def _area_up_to(at: float, x: FloatArray, y: FloatArray, whole: FloatArray) -> FloatArray:
    row, last = np.arange(x.shape[0]), x.shape[1] - 1
    before = np.minimum((x <= at).sum(axis=1) - 1, last)
    after = np.minimum(before + 1, last)
    width = at - x[row, before]
    run = x[row, after] - x[row, before]
    share = np.divide(width, run, out=np.zeros(run.size), where=run > 0)
    rise = (y[row, after] - y[row, before]) * share
    return np.asarray(whole[row, before] + np.where(run > 0, width * (y[row, before] + rise / 2), 0.0))


def _drawn_areas(counts: Iterator[tuple[CountArray, CountArray]], axis: Axis, part: tuple[float, float]) -> FloatArray:
    areas = []
    for tp, fp in counts:
        both = (tp[:, -1] > 0) & (fp[:, -1] > 0)
        areas.append(_part_area(fp[both] / fp[both, -1:], tp[both] / tp[both, -1:], axis, part))
    return np.concatenate(areas)


def _mcclish(area: FloatArray, part: tuple[float, float]) -> FloatArray:
    low, high = 1 - part[1], 1 - part[0]  # the same for either axis: the diagonal is its own mirror image
    least, most = (high * high - low * low) / 2, high - low
    return np.asarray((1 + (area - least) / (most - least)) / 2, dtype=np.float64)


def _average_precision(tp: CountArray, fp: CountArray) -> FloatArray:
    called = tp[:, 1:] + fp[:, 1:]
    precision = np.divide(tp[:, 1:], called, out=np.zeros(called.shape), where=called > 0)
    total = np.where(tp[:, -1] > 0, tp[:, -1], np.nan)
    return np.asarray((precision * np.diff(tp, axis=1)).sum(axis=1) / total, dtype=np.float64)


def _limits(drawn: FloatArray, plan: Resampling | None, confidence: float) -> tuple[float, float]:
    """Percentiles of the replicates; none without a plan."""
    if plan is None:
        return np.nan, np.nan
    low, high = percentiles(drawn, plan, confidence=confidence)
    return float(low), float(high)
