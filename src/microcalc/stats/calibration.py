"""Whether probabilities mean what they say: reliability, intercept and slope, Brier's score, expected error.

Only for scores that are probabilities. Making them right is in `recalibration`.

Sources: Cox, Biometrika 45:562 (1958); Van Calster et al., BMC Med 17:230 (2019); Murphy, J Appl Meteor 12:595 (1973)
and Stephenson et al., Weather Forecast 23:752 (2008) for the terms within bins; Naeini et al., AAAI 2015 for the
expected calibration error.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.distributions import two_sided_quantile
from microcalc.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    checked_clusters,
    checked_labels,
    checked_scores,
)
from microcalc.stats.logistic import LogisticFit, fit_logistic, logits
from microcalc.stats.proportions import Proportion, wilson
from microcalc.stats.replicates import Resampling, percentiles, weighted_sums

__all__ = [
    "Binning",
    "Bins",
    "Brier",
    "Calibration",
    "Coefficient",
    "ReliabilityBin",
    "calibration",
    "undefined_calibration",
    "why_no_probability",
]


class Binning(StrEnum):
    """How scores are put into bins: as many images in each (equal scores stay together), or as wide as each other."""

    COUNT = "equal count"
    WIDTH = "equal width"


@dataclass(frozen=True)
class Bins:
    """How many bins, and how they are made; equal probabilities are never parted, so there may be fewer.

    Raises:
        StatisticsError: fewer than 2.
    """

    count: int = 10
    binning: Binning = Binning.COUNT

    def __post_init__(self) -> None:
        if self.count < 2:
            raise StatisticsError(f"a reliability curve needs at least 2 bins; {self.count} came")


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of similar probability.

    Attributes:
        low, high: the smallest and largest probability in it.
        mean: mean probability.
        observed: share of malignant images with Wilson's limits (images as independent).
    """

    low: float
    high: float
    mean: float
    observed: Proportion


@dataclass(frozen=True)
class Coefficient:
    """A regression coefficient with Wald limits."""

    estimate: float
    low: float
    high: float
    reason: str = ""


@dataclass(frozen=True)
class Brier:
    """Brier's score and its parts: score = reliability - resolution + uncertainty + within.

    Attributes:
        score: mean squared difference of probability and outcome.
        low, high: bootstrap percentiles; NaN without a plan.
        reliability, resolution, uncertainty: Murphy's terms over the bins.
        within: what remains because probabilities in a bin differ.
    """

    score: float
    low: float
    high: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


@dataclass(frozen=True)
class Calibration:
    """How one model's probabilities fit.

    Attributes:
        bins: of the reliability curve.
        binning: how they were made.
        intercept: calibration in the large, with the slope held at 1; 0 is right, below 0 the model is too high.
        slope: of the logistic recalibration; 1 is right, below 1 the probabilities are too extreme.
        brier: score and parts.
        expected_error: mean over the images of the distance between a bin's mean probability and its share.
        clipped: images whose probability is 0 or 1; with any, intercept and slope are NaN.
        cluster: what the limits of intercept and slope take as independent.
        reason: why everything is NaN.
    """

    bins: tuple[ReliabilityBin, ...]
    binning: Binning
    intercept: Coefficient
    slope: Coefficient
    brier: Brier
    expected_error: float
    clipped: int
    cluster: str
    reason: str = ""


def why_no_probability(score: FloatArray) -> str:
    """Say why scores cannot be probabilities; empty if they can."""
    if score.size == 0 or score.min() < 0 or score.max() > 1:
        return "the scores are not probabilities: they leave the range from 0 to 1"
    return "" if ((score > 0) & (score < 1)).any() else "the scores are calls, 0 or 1, not probabilities"


def calibration(
    y_true: ArrayLike,
    probability: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    bins: Bins | None = None,
    plan: Resampling | None = None,
    confidence: float = 0.95,
) -> Calibration:
    """Judge the calibration of one model.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        probability: (n,) of malignancy; scores outside [0, 1] are answered with a reason.
        clusters: (n,) patients, for the limits of intercept and slope.
        bins: of the reliability curve; default ten of equal count.
        plan: bootstrap for the limits of Brier's score.
        confidence: level of all limits.

    Raises:
        StatisticsError: labels or scores that are not usable.
    """
    malignant = checked_labels(y_true)
    score = checked_scores(probability, images=malignant.size)[:, 0]
    how = bins or Bins()
    codes = None if clusters is None else checked_clusters(clusters, images=malignant.size)
    cluster = "image" if clusters is None else "patient"
    reason = why_no_probability(score)
    if reason:
        return undefined_calibration(how.binning, cluster, reason)
    where = _bin_numbers(score, how)
    made = tuple(_bin(malignant[where == b], score[where == b], confidence) for b in np.unique(where))
    total = malignant.size
    error = sum(b.observed.n * abs(b.mean - b.observed.estimate) for b in made) / total
    certain = int(((score <= 0) | (score >= 1)).sum())
    intercept, slope = _coefficients(malignant, score, codes, confidence) if not certain else (_no_logit(certain),) * 2
    return Calibration(
        bins=made,
        binning=how.binning,
        intercept=intercept,
        slope=slope,
        brier=_brier(malignant, score, made, plan, confidence),
        expected_error=float(error),
        clipped=certain,
        cluster=cluster,
    )


def _coefficients(
    malignant: BoolArray, score: FloatArray, codes: IntArray | None, confidence: float
) -> tuple[Coefficient, Coefficient]:
    """Calibration in the large, and slope."""
    log_odds, ones = logits(score), np.ones(score.size)
    large = fit_logistic(ones[:, None], malignant, offset=log_odds, clusters=codes)
    joint = fit_logistic(np.column_stack([ones, log_odds]), malignant, clusters=codes)
    return _coefficient(large, 0, confidence), _coefficient(joint, 1, confidence)


def _no_logit(certain: int) -> Coefficient:
    nan = float("nan")
    which = "1 probability is 0 or 1 and has" if certain == 1 else f"{certain} probabilities are 0 or 1 and have"
    return Coefficient(nan, nan, nan, f"{which} no logit")


def _bin_numbers(score: FloatArray, how: Bins) -> IntArray:
    if how.binning == Binning.WIDTH:
        return np.minimum((score * how.count).astype(np.int64), how.count - 1)
    edges = np.unique(np.quantile(score, np.arange(1, how.count) / how.count))
    return np.asarray(np.searchsorted(edges, score, side="left"), dtype=np.int64)


def _bin(malignant: BoolArray, score: FloatArray, confidence: float) -> ReliabilityBin:
    observed = wilson(int(malignant.sum()), malignant.size, confidence=confidence)
    return ReliabilityBin(float(score.min()), float(score.max()), float(score.mean()), observed)


def _brier(
    malignant: BoolArray,
    score: FloatArray,
    bins: tuple[ReliabilityBin, ...],
    plan: Resampling | None,
    confidence: float,
) -> Brier:
    squares = (score - malignant) ** 2
    whole, base = float(squares.mean()), float(malignant.mean())
    n = np.array([b.observed.n for b in bins])
    mean = np.array([b.mean for b in bins])
    share = np.array([b.observed.estimate for b in bins])
    reliability = float(n @ (mean - share) ** 2) / malignant.size
    resolution = float(n @ (share - base) ** 2) / malignant.size
    uncertainty = base * (1 - base)
    low = high = float("nan")
    if plan is not None:
        total, drawn = weighted_sums(np.column_stack([squares, np.ones(squares.size)]), plan).T
        low, high = (float(value) for value in percentiles(total / drawn, plan, confidence=confidence))
    within = whole - (reliability - resolution + uncertainty)
    return Brier(whole, low, high, reliability, resolution, uncertainty, within)


def _coefficient(fit: LogisticFit, position: int, confidence: float) -> Coefficient:
    half = two_sided_quantile(confidence) * np.sqrt(fit.covariance[position, position])
    value = float(fit.coefficients[position])
    return Coefficient(value, float(value - half), float(value + half), fit.reason)


def undefined_calibration(binning: Binning, cluster: str, reason: str) -> Calibration:
    """Answer where there is nothing to judge: NaN throughout, and the reason."""
    nan = float("nan")
    none = Coefficient(nan, nan, nan, reason)
    nothing = Brier(nan, nan, nan, nan, nan, nan, nan)
    return Calibration((), binning, none, none, nothing, nan, 0, cluster, reason)
