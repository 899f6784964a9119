"""Cut-offs and the four counts that follow from them. The rule is always: score > cut-off means malignant.

Intervals of the fractions are in `proportions`, comparisons in `gee`.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.inputs import BoolArray, FloatArray, IntArray, checked_labels, checked_scores

__all__ = [
    "Counts",
    "Measure",
    "Youden",
    "candidate_counts",
    "confusion",
    "decisions",
    "measure_rows",
    "youden",
]


class Measure(StrEnum):
    """The five fractions of the paper's Table 1, in its order."""

    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"
    ACCURACY = "accuracy"
    PPV = "ppv"
    NPV = "npv"


@dataclass(frozen=True)
class Counts:
    """True positives, false negatives, true negatives, false positives."""

    tp: int
    fn: int
    tn: int
    fp: int

    @property
    def images(self) -> int:
        """All of them."""
        return self.tp + self.fn + self.tn + self.fp

    def fraction(self, measure: Measure) -> tuple[int, int]:
        """Numerator and denominator of a measure; the denominator may be 0."""
        return {
            Measure.SENSITIVITY: (self.tp, self.tp + self.fn),
            Measure.SPECIFICITY: (self.tn, self.tn + self.fp),
            Measure.ACCURACY: (self.tp + self.tn, self.images),
            Measure.PPV: (self.tp, self.tp + self.fp),
            Measure.NPV: (self.tn, self.tn + self.fn),
        }[measure]

    def value(self, measure: Measure) -> float:
        """The fraction as a number; NaN where its denominator is 0."""
        successes, total = self.fraction(measure)
        return successes / total if total else float("nan")

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN); NaN without malignant images."""
        return self.value(Measure.SENSITIVITY)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP); NaN without benign images."""
        return self.value(Measure.SPECIFICITY)

    @property
    def accuracy(self) -> float:
        """(TP + TN) / all."""
        return self.value(Measure.ACCURACY)

    @property
    def ppv(self) -> float:
        """TP / (TP + FP); NaN where nothing was called malignant."""
        return self.value(Measure.PPV)

    @property
    def npv(self) -> float:
        """TN / (TN + FN); NaN where nothing was called benign."""
        return self.value(Measure.NPV)


@dataclass(frozen=True)
class Youden:
    """The cut-offs of greatest Youden index.

    Attributes:
        cutoff: the smallest of them (most sensitive); ``-inf`` calls every image malignant. NaN with one class only.
        index: TP / P - FP / N there.
        numerator: TP N - FP P there, in whole numbers; what is maximised.
        counts: the four counts there.
        maximisers: every cut-off that reaches the maximum, rising.
        maximiser_counts: the four counts at each of them.
        reason: why there is no cut-off; empty where there is one.
    """

    cutoff: float
    index: float
    numerator: int
    counts: Counts
    maximisers: tuple[float, ...]
    maximiser_counts: tuple[Counts, ...]
    reason: str = ""


def decisions(scores: FloatArray, cutoffs: ArrayLike) -> BoolArray:
    """Call images malignant where score > cut-off.

    Args:
        scores: (n, k).
        cutoffs: (k,).

    Returns:
        (n, k) True where malignant.
    """
    return np.asarray(scores > np.asarray(cutoffs, dtype=np.float64)[None, :], dtype=np.bool_)


def confusion(y_true: ArrayLike, y_score: ArrayLike, cutoff: float) -> Counts:
    """Count how the rule score > cut-off does.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        y_score: (n,).
        cutoff: any number, ``-inf`` and ``inf`` included.

    Raises:
        StatisticsError: labels or scores that are not usable, or a cut-off that is not a number.
    """
    malignant = checked_labels(y_true)
    score = checked_scores(y_score, images=malignant.size)[:, 0]
    if np.isnan(cutoff):
        raise StatisticsError("a cut-off must be a number; NaN came")
    called = score > cutoff
    tp, fp = int((called & malignant).sum()), int((called & ~malignant).sum())
    m = int(malignant.sum())
    return Counts(tp=tp, fn=m - tp, tn=malignant.size - m - fp, fp=fp)


def candidate_counts(malignant: BoolArray, score: FloatArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Count true and false positives at every cut-off that makes a difference.

    Args:
        malignant: (n,).
        score: (n,).

    Returns:
        (u + 1,) cut-offs rising from ``-inf`` over the u observed values, and the true and the false positives there.
    """
    order = np.argsort(score)
    ordered, truth = score[order], malignant[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), score.size - 1)
    found = np.cumsum(truth)[last]
    below_malignant = np.concatenate([[0], found]).astype(np.int64)
    below_benign = np.concatenate([[0], last + 1 - found]).astype(np.int64)
    cutoffs = np.concatenate([[-np.inf], ordered[last]])
    return cutoffs, below_malignant[-1] - below_malignant, below_benign[-1] - below_benign


def youden(y_true: ArrayLike, y_score: ArrayLike) -> Youden:
    """Find the cut-offs of greatest Youden index, in whole numbers so that ties are ties.

    Maximises TP N - FP P over the rules score > c with c in {-inf, observed scores}. A score worse than chance is best
    used by calling everything malignant (``-inf``); a score is never turned round.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        y_score: (n,) larger means more suspicious.

    Raises:
        StatisticsError: labels other than 0 and 1, scores that are not finite, lengths that differ.

    Source: Youden, Cancer 3:32 (1950).

    >>> youden([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8]).maximisers
    (0.1, 0.6)
    """
    malignant = checked_labels(y_true)
    score = checked_scores(y_score, images=malignant.size)[:, 0]
    m, n = int(malignant.sum()), int((~malignant).sum())
    if min(m, n) == 0:
        reason = f"a Youden cut-off needs both classes; {m} malignant and {n} benign images came"
        return Youden(np.nan, np.nan, 0, Counts(0, 0, 0, 0), (), (), reason)
    cutoffs, tp, fp = candidate_counts(malignant, score)
    numerator = tp * n - fp * m
    best = np.flatnonzero(numerator == numerator.max())
    counts = tuple(Counts(int(tp[i]), m - int(tp[i]), n - int(fp[i]), int(fp[i])) for i in best)
    top = int(numerator[best[0]])
    values = tuple(float(c) for c in cutoffs[best])
    return Youden(values[0], top / (m * n), top, counts[0], values, counts)


def measure_rows(measure: Measure, malignant: BoolArray, called: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Say which images enter a measure, and the outcome whose mean it is.

    Args:
        measure: one of the five.
        malignant: (n,) truth.
        called: (n, k) decisions.

    Returns:
        (n, k) whether an image enters, and (n, k) whether it then counts as a success.
    """
    truth = np.broadcast_to(malignant[:, None], called.shape)
    return {
        Measure.ACCURACY: (np.ones_like(called), called == truth),
        Measure.SENSITIVITY: (truth, called),
        Measure.SPECIFICITY: (~truth, ~called),
        Measure.PPV: (called, truth),
        Measure.NPV: (~called, ~truth),
    }[measure]
