"""Making probabilities right: Platt's line, temperature, isotonic steps; learnt on validation, applied to test.

A recalibration is learnt from one set and given to another; nothing here ever sees both. Whether it helped is judged
by `calibration`.

Sources: Platt, Advances in Large Margin Classifiers (1999); Guo et al., ICML 2017 (temperature); Zadrozny and Elkan,
KDD 2002 (isotonic).
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from microcalc.stats.calibration import why_no_probability
from microcalc.stats.distributions import expit
from microcalc.stats.inputs import BoolArray, FloatArray, checked_labels, checked_scores
from microcalc.stats.logistic import fit_logistic, logits

__all__ = ["Recalibration", "RecalibrationMethod", "fit_recalibration"]


class RecalibrationMethod(StrEnum):
    """Three ways, from stiff to free."""

    TEMPERATURE = "temperature"
    PLATT = "platt"
    ISOTONIC = "isotonic"


@dataclass(frozen=True)
class Recalibration:
    """What was learnt on the validation set.

    Attributes:
        method: which way.
        intercept, slope: of the log odds (Platt); temperature has intercept 0 and slope 1 / T; NaN for isotonic.
        knots, values: (b,) corners of the isotonic curve, joined by straight lines; empty for the others.
        images: it was learnt from.
        reason: why nothing could be learnt; `apply` then gives NaN.
    """

    method: RecalibrationMethod
    intercept: float
    slope: float
    knots: FloatArray
    values: FloatArray
    images: int
    reason: str = ""

    def apply(self, probability: ArrayLike) -> FloatArray:
        """(n,) recalibrated probabilities of (n,) probabilities."""
        given = np.asarray(probability, dtype=np.float64)
        if self.reason:
            return np.full(given.shape, np.nan)
        if self.method == RecalibrationMethod.ISOTONIC:
            return np.asarray(np.interp(given, self.knots, self.values), dtype=np.float64)
        return np.asarray(expit(self.intercept + self.slope * logits(given)), dtype=np.float64)


def fit_recalibration(y_true: ArrayLike, probability: ArrayLike, method: RecalibrationMethod) -> Recalibration:
    """Learn a recalibration.

    Args:
        y_true: (n,) labels of the validation set.
        probability: (n,) probabilities of the validation set.
        method: which way.

    Raises:
        StatisticsError: labels or scores that are not usable.
    """
    malignant = checked_labels(y_true)
    score = checked_scores(probability, images=malignant.size)[:, 0]
    none, nan = np.array([]), float("nan")
    reason = why_no_probability(score)
    if not reason and (malignant.all() or not malignant.any()):
        reason = "a recalibration needs both classes in the validation set"
    if reason:
        return Recalibration(method, nan, nan, none, none, malignant.size, reason)
    if method == RecalibrationMethod.ISOTONIC:
        knots, values = _isotonic(malignant, score)
        return Recalibration(method, nan, nan, knots, values, malignant.size)
    log_odds = logits(score)
    temperature = method == RecalibrationMethod.TEMPERATURE
    design = log_odds[:, None] if temperature else np.column_stack([np.ones(score.size), log_odds])
    fit = fit_logistic(design, malignant)
    intercept = 0.0 if temperature else float(fit.coefficients[0])
    slope = float(fit.coefficients[-1])
    reason = fit.reason
    if not reason and slope <= 0:
        reason = f"the validation set wants the scores turned round (slope {slope:.3g}); that is refused"
    return Recalibration(method, intercept, slope, none, none, malignant.size, reason)


def _isotonic(malignant: BoolArray, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pool adjacent violators over the distinct scores; the corners of the rising blocks."""
    values, where = np.unique(score, return_inverse=True)
    weight = np.bincount(where).astype(np.float64)
    mean = np.bincount(where, weights=malignant) / weight
    blocks: list[tuple[float, float, int]] = []  # mean, weight, distinct scores
    for level, mass in zip(mean, weight, strict=True):
        block = (float(level), float(mass), 1)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            mass_both = before[1] + block[1]
            block = ((before[0] * before[1] + block[0] * block[1]) / mass_both, mass_both, before[2] + block[2])
        blocks.append(block)
    sizes = np.array([b[2] for b in blocks])
    last = np.cumsum(sizes) - 1
    first = last - sizes + 1
    corners = np.column_stack([first, last]).ravel()
    levels = np.repeat([b[0] for b in blocks], 2)
    keep = np.append(True, np.diff(corners) > 0)  # a block of one score has one corner
    return values[corners[keep]], levels[keep]
