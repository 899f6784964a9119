"""How a cut-off is chosen: greatest Youden index, a wanted sensitivity, a wanted specificity, or a value that is given.

A rule says how, a choice is what came of it on one set of images. Every decision is score > cut-off.
"""

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.inputs import checked_labels, checked_scores
from microcalc.stats.operating_point import Counts, candidate_counts, confusion, youden

__all__ = ["YOUDEN", "CutoffChoice", "CutoffRule", "RuleKind", "choose_cutoff"]


class RuleKind(StrEnum):
    """What a rule aims at."""

    YOUDEN = "youden"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"
    GIVEN = "given"


@dataclass(frozen=True)
class CutoffRule:
    """A way to a cut-off.

    Attributes:
        kind: what it aims at.
        target: the wanted sensitivity or specificity in (0, 1], or the given cut-off; unused for Youden.
    """

    kind: RuleKind
    target: float = math.nan

    def __post_init__(self) -> None:
        wanted = self.kind in (RuleKind.SENSITIVITY, RuleKind.SPECIFICITY)
        if wanted and not 0 < self.target <= 1:
            raise StatisticsError(f"a wanted {self.kind} must lie in (0, 1], such as 0.95; {self.target} came")
        if self.kind == RuleKind.GIVEN and math.isnan(self.target):
            raise StatisticsError("a given cut-off must be a number; NaN came")

    def __str__(self) -> str:
        """``youden``, ``sensitivity>=0.95``, ``specificity>=0.9`` or ``given``."""
        wanted = self.kind in (RuleKind.SENSITIVITY, RuleKind.SPECIFICITY)
        return f"{self.kind}>={self.target:g}" if wanted else str(self.kind)


YOUDEN = CutoffRule(RuleKind.YOUDEN)
"""The paper's rule."""


@dataclass(frozen=True)
class CutoffChoice:
    """What a rule chose on one set of images.

    Attributes:
        rule: the rule.
        cutoff: the cut-off that is used; NaN where ``reason`` says why.
        counts: the four counts there, on the set that chose it.
        maximisers: every cut-off that serves the rule equally well, rising; the first is used.
        maximiser_counts: the four counts at each.
        reason: why there is no cut-off.
    """

    rule: CutoffRule
    cutoff: float
    counts: Counts
    maximisers: tuple[float, ...]
    maximiser_counts: tuple[Counts, ...]
    reason: str = ""

    @property
    def index(self) -> float:
        """Youden's index, sensitivity + specificity - 1, on the set that chose; NaN with one class only."""
        return self.counts.sensitivity + self.counts.specificity - 1


def choose_cutoff(y_true: ArrayLike, y_score: ArrayLike, rule: CutoffRule = YOUDEN) -> CutoffChoice:
    """Choose a cut-off on a set of images.

    A wanted sensitivity takes the largest cut-off that still reaches it, a wanted specificity the smallest, so that as
    little as possible is paid for it; what is reached is counted in whole images.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        y_score: (n,).
        rule: what to aim at.

    Raises:
        StatisticsError: labels other than 0 and 1, scores that are not finite, lengths that differ.

    >>> choose_cutoff([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8], CutoffRule(RuleKind.SENSITIVITY, 0.5)).cutoff
    0.6
    """
    malignant = checked_labels(y_true)
    score = checked_scores(y_score, images=malignant.size)[:, 0]
    if rule.kind == RuleKind.YOUDEN:
        best = youden(malignant, score)
        return CutoffChoice(rule, best.cutoff, best.counts, best.maximisers, best.maximiser_counts, best.reason)
    if rule.kind == RuleKind.GIVEN:
        return _single(rule, rule.target, confusion(malignant, score, rule.target))
    m, n = int(malignant.sum()), int((~malignant).sum())
    wanted, total = ("malignant", m) if rule.kind == RuleKind.SENSITIVITY else ("benign", n)
    if not total:
        reason = f"a wanted {rule.kind} needs {wanted} images to choose on; none came"
        return CutoffChoice(rule, math.nan, Counts(0, 0, 0, 0), (), (), reason)
    cutoffs, tp, fp = candidate_counts(malignant, score)
    needed = int((Decimal(str(rule.target)) * total).to_integral_value(ROUND_CEILING))
    enough = np.flatnonzero(tp >= needed if rule.kind == RuleKind.SENSITIVITY else n - fp >= needed)
    at = enough[-1] if rule.kind == RuleKind.SENSITIVITY else enough[0]
    counts = Counts(int(tp[at]), m - int(tp[at]), n - int(fp[at]), int(fp[at]))
    return _single(rule, float(cutoffs[at]), counts)


def _single(rule: CutoffRule, cutoff: float, counts: Counts) -> CutoffChoice:
    return CutoffChoice(rule, cutoff, counts, (cutoff,), (counts,))
