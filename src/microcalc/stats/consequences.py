"""What would have happened at a cut-off: biopsies avoided, cancers missed, and predictive values at other prevalences.

Source: Mercaldo, Lau and Zhou, Stat Med 26:2170 (2007) for the logit interval of predictive values at a prevalence that
is taken as known. Patient-clustered limits are bootstrap percentiles.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.distributions import expit, two_sided_quantile
from microcalc.stats.inputs import FloatArray, checked_labels, checked_scores
from microcalc.stats.operating_point import Counts, confusion
from microcalc.stats.proportions import Proportion, wilson
from microcalc.stats.replicates import Resampling, percentiles, weighted_sums

__all__ = ["Consequences", "PredictiveValue", "consequences", "predictive_values"]


@dataclass(frozen=True)
class PredictiveValue:
    """PPV or NPV at a prevalence.

    Attributes:
        measure: ``ppv`` or ``npv``.
        prevalence: taken as known.
        estimate: by Bayes' rule; NaN where ``reason`` says why.
        low, high: logit limits, images as independent.
        low_patient, high_patient: patient-clustered bootstrap limits; NaN where none were drawn.
        reason: why something is NaN.
    """

    measure: str
    prevalence: float
    estimate: float
    low: float
    high: float
    low_patient: float = np.nan
    high_patient: float = np.nan
    reason: str = ""


@dataclass(frozen=True)
class Consequences:
    """What a cut-off would have done to the patients of the test set.

    Attributes:
        avoided: benign lesions called benign, of all benign ones: 100 times it are biopsies avoided per 100 benign.
        missed: malignant lesions called benign, of all malignant ones: 100 times it are cancers missed per 100.
        avoided_patient, missed_patient: (low, high) by bootstrap of patients; NaN at 0 and 1.
        predictive: PPV and NPV at each prevalence.
    """

    avoided: Proportion
    missed: Proportion
    avoided_patient: tuple[float, float]
    missed_patient: tuple[float, float]
    predictive: tuple[PredictiveValue, ...]


def predictive_values(
    counts: Counts, prevalence: float, *, confidence: float = 0.95
) -> tuple[PredictiveValue, PredictiveValue]:
    """Carry PPV and NPV to another prevalence by Bayes' rule.

    Args:
        counts: on the test set; only its sensitivity and specificity are used.
        prevalence: share of malignant lesions where the test would be used, in (0, 1).
        confidence: level of the logit limits.

    Raises:
        StatisticsError: a prevalence that is not in (0, 1).

    >>> ppv, npv = predictive_values(Counts(tp=90, fn=10, tn=80, fp=20), 0.5)
    >>> round(ppv.estimate, 4), round(npv.estimate, 4)
    (0.8182, 0.8889)
    """
    if not 0 < prevalence < 1:
        raise StatisticsError(f"a prevalence must lie between 0 and 1, such as 0.02; {prevalence} came")
    p, q = prevalence, 1 - prevalence
    m, n = counts.tp + counts.fn, counts.tn + counts.fp
    at_once = _bayes(np.array([counts.sensitivity]), np.array([counts.specificity]), p)
    ppv, npv = float(at_once[0][0]), float(at_once[1][0])
    if min(counts.tp, counts.fn, counts.tn, counts.fp) == 0:
        empty = "a sensitivity or specificity of 0 or 1, or an empty class, leaves the logit limits undefined"
        return _without_limits("ppv", p, ppv, empty), _without_limits("npv", p, npv, empty)
    se, sp = counts.sensitivity, counts.specificity
    half = two_sided_quantile(confidence)
    spread_ppv = half * np.sqrt((1 - se) / (se * m) + sp / ((1 - sp) * n))
    spread_npv = half * np.sqrt(se / ((1 - se) * m) + (1 - sp) / (sp * n))
    centre_ppv, centre_npv = np.log(se * p / ((1 - sp) * q)), np.log(sp * q / ((1 - se) * p))
    return (
        PredictiveValue("ppv", p, ppv, *_limits(centre_ppv, spread_ppv)),
        PredictiveValue("npv", p, npv, *_limits(centre_npv, spread_npv)),
    )


def consequences(
    y_true: ArrayLike,
    y_score: ArrayLike,
    cutoff: float,
    *,
    plan: Resampling,
    prevalences: tuple[float, ...] = (),
    confidence: float = 0.95,
) -> Consequences:
    """Say what a cut-off would have done.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        y_score: (n,).
        cutoff: malignant is called, and biopsied, where score > cutoff.
        plan: from `resampling`, by patient.
        prevalences: where to carry PPV and NPV.
        confidence: level of all limits.

    Raises:
        StatisticsError: labels, scores, cut-off or prevalences that are not usable.
    """
    malignant = checked_labels(y_true)
    score = checked_scores(y_score, images=malignant.size)[:, 0]
    counts = confusion(malignant, score, cutoff)
    called = score > cutoff
    cells = np.column_stack([malignant & called, malignant, ~malignant & ~called, ~malignant]).astype(np.float64)
    tp, m, tn, n = weighted_sums(cells, plan).T
    sensitivity, specificity = _share(tp, m), _share(tn, n)

    def limits(values: FloatArray) -> tuple[float, float]:
        low, high = percentiles(values, plan, confidence=confidence)
        return float(low), float(high)

    predictive = []
    for prevalence in prevalences:
        drawn = _bayes(sensitivity, specificity, prevalence)
        for value, replicates in zip(predictive_values(counts, prevalence, confidence=confidence), drawn, strict=True):
            low, high = (np.nan, np.nan) if value.reason else limits(replicates)
            predictive.append(_with_patients(value, low, high))
    benign, cancers = counts.tn + counts.fp, counts.tp + counts.fn
    return Consequences(
        avoided=wilson(counts.tn, benign, confidence=confidence),
        missed=wilson(counts.fn, cancers, confidence=confidence),
        avoided_patient=limits(specificity) if 0 < counts.tn < benign else (np.nan, np.nan),
        missed_patient=limits(1 - sensitivity) if 0 < counts.fn < cancers else (np.nan, np.nan),
        predictive=tuple(predictive),
    )


def _bayes(sensitivity: FloatArray, specificity: FloatArray, prevalence: float) -> tuple[FloatArray, FloatArray]:
    p, q = prevalence, 1 - prevalence
    found, false_alarms = sensitivity * p, (1 - specificity) * q
    cleared, missed = specificity * q, (1 - sensitivity) * p
    return _share(found, found + false_alarms), _share(cleared, cleared + missed)


def _share(above: FloatArray, below: FloatArray) -> FloatArray:
    out = np.full(above.shape, np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out


def _limits(centre: float, half: float) -> tuple[float, float]:
    return float(expit(centre - half)), float(expit(centre + half))


def _without_limits(measure: str, prevalence: float, estimate: float, reason: str) -> PredictiveValue:
    return PredictiveValue(measure, prevalence, estimate, np.nan, np.nan, reason=reason)


def _with_patients(value: PredictiveValue, low: float, high: float) -> PredictiveValue:
    return PredictiveValue(
        value.measure, value.prevalence, value.estimate, value.low, value.high, low, high, value.reason
    )
