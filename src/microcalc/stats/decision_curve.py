"""Decision curves: what acting on a model is worth, against treating everybody and nobody.

Net benefit at threshold t is TP/n - FP/n t/(1 - t): true positives minus false positives at the exchange rate that the
threshold implies. Only for scores that are probabilities.

Source: Vickers and Elkin, Med Decis Making 26:565 (2006).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.calibration import why_no_probability
from microcalc.stats.inputs import FloatArray, IntArray, checked_labels, checked_scores
from microcalc.stats.replicates import CountArray, Descending, Resampling, percentiles

__all__ = ["DecisionCurve", "decision_curve"]


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit of one model over thresholds; per image, as a share.

    Attributes:
        thresholds: (t,) probability above which one would biopsy.
        net_benefit, low, high: (t,) of the model with bootstrap percentiles.
        treat_all, treat_all_low, treat_all_high: (t,) of a biopsy for everybody; treating nobody is 0.
        advantage_low, advantage_high: (t,) limits of the model's benefit minus that of the better of all and nobody.
        by: what the bootstrap drew.
        reason: why everything is NaN.
    """

    thresholds: FloatArray
    net_benefit: FloatArray
    low: FloatArray
    high: FloatArray
    treat_all: FloatArray
    treat_all_low: FloatArray
    treat_all_high: FloatArray
    advantage_low: FloatArray
    advantage_high: FloatArray
    by: str
    reason: str = ""


def decision_curve(
    y_true: ArrayLike,
    probability: ArrayLike,
    *,
    plan: Resampling,
    thresholds: ArrayLike | None = None,
    confidence: float = 0.95,
) -> DecisionCurve:
    """Net benefit of biopsy where probability > threshold.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        probability: (n,); scores outside [0, 1] are answered with a reason.
        plan: bootstrap for the bands, by patient.
        thresholds: (t,) in (0, 1); default every whole percent from 1 to 99.
        confidence: level of the bands.

    Raises:
        StatisticsError: labels or scores that are not usable, thresholds outside (0, 1).
    """
    malignant = checked_labels(y_true)
    score = checked_scores(probability, images=malignant.size)[:, 0]
    at = np.arange(1, 100) / 100 if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    if not ((at > 0) & (at < 1)).all():
        raise StatisticsError(f"thresholds must lie between 0 and 1; {at.min()} to {at.max()} came")
    reason = why_no_probability(score)
    if reason:
        nothing = np.full(at.size, np.nan)
        return DecisionCurve(at, *(nothing,) * 8, plan.by, reason)
    descending = Descending.of(malignant, score)
    above = np.searchsorted(-descending.values, -at, side="left")  # how many distinct scores exceed the threshold
    own, everybody = _benefits(*descending.counts(np.ones((1, malignant.size), dtype=np.int32)), above, at)
    drawn = [_benefits(tp, fp, above, at) for tp, fp in plan.counts(malignant, score)]
    model, treat_all = (np.concatenate(part) for part in zip(*drawn, strict=True))
    low, high = percentiles(model, plan, confidence=confidence)
    all_low, all_high = percentiles(treat_all, plan, confidence=confidence)
    more_low, more_high = percentiles(model - np.maximum(treat_all, 0), plan, confidence=confidence)
    return DecisionCurve(at, own[0], low, high, everybody[0], all_low, all_high, more_low, more_high, plan.by)


def _benefits(tp: CountArray, fp: CountArray, above: IntArray, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    total = (tp[:, -1:] + fp[:, -1:]).astype(np.float64)
    price = at / (1 - at)
    return tp[:, above] / total - fp[:, above] / total * price, tp[:, -1:] / total - fp[:, -1:] / total * price
