"""How far two readers agree: Cohen's kappa of their words, the overlap of their squares, and which squares are one.

Sources: Cohen, Educ Psychol Meas 20:37 (1960) for kappa; Fleiss, Cohen and Everitt, Psychol Bull 72:323 (1969) for its
large-sample standard error; Jaccard, New Phytol 11:37 (1912) for the overlap.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from microcalc.errors import StatisticsError
from microcalc.stats.distributions import two_sided_quantile
from microcalc.stats.inputs import checked_confidence

__all__ = ["Kappa", "Square", "cohen_kappa", "matched_squares", "overlap"]


@dataclass(frozen=True)
class Kappa:
    """Agreement beyond chance.

    Attributes:
        value: 1 where all agree, 0 at chance; NaN where ``reason`` says why.
        low, high: limits by the large-sample standard error, within [-1, 1].
        observed: share of pairs that agree.
        n: pairs.
        reason: why something is NaN; empty where nothing is.
    """

    value: float
    low: float
    high: float
    observed: float
    n: int
    reason: str = ""


@dataclass(frozen=True)
class Square:
    """A square by its middle and side, in pixels of its image."""

    row: float
    col: float
    side: float

    def __post_init__(self) -> None:
        """Refuse what is no square."""
        if not all(map(math.isfinite, (self.row, self.col, self.side))) or self.side <= 0:
            raise StatisticsError(f"a square must have a finite middle and a side above 0; got {self}")


def cohen_kappa(first: Sequence[str], second: Sequence[str], *, confidence: float = 0.95) -> Kappa:
    """Cohen's kappa of two readers' words, unweighted.

    Args:
        first: word of each case by one reader.
        second: by the other, in the same order.
        confidence: of the limits.

    Raises:
        StatisticsError: another number of words, or a confidence that is none.
    """
    quantile = two_sided_quantile(checked_confidence(confidence))
    if len(first) != len(second):
        raise StatisticsError(f"both readers must judge the same cases; one has {len(first)}, the other {len(second)}")
    n = len(first)
    if n == 0:
        return Kappa(math.nan, math.nan, math.nan, math.nan, 0, "no case was judged by both")
    p = _shares(first, second)
    observed, expected = float(np.trace(p)), float(p.sum(axis=1) @ p.sum(axis=0))
    if expected >= 1:
        return Kappa(math.nan, math.nan, math.nan, observed, n, "both readers used one and the same word throughout")
    value = (observed - expected) / (1 - expected)
    if n == 1:
        return Kappa(value, math.nan, math.nan, observed, n, "limits need more than one case")
    half = quantile * math.sqrt(_variance(p, observed, expected) / n)
    return Kappa(value, max(value - half, -1.0), min(value + half, 1.0), observed, n)


def _shares(first: Sequence[str], second: Sequence[str]) -> NDArray[np.float64]:
    """(words, words) share of the cases with one word by the first and another by the second reader."""
    words = {word: i for i, word in enumerate(sorted({*first, *second}))}
    counts = np.zeros((len(words), len(words)))
    np.add.at(counts, ([words[w] for w in first], [words[w] for w in second]), 1.0)
    return counts / len(first)


def _variance(p: NDArray[np.float64], observed: float, expected: float) -> float:
    """n times the variance of kappa (Fleiss, Cohen and Everitt, equation 13)."""
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    agree = np.diag(p) @ ((1 - expected) - (rows + columns) * (1 - observed)) ** 2
    squares = (columns[:, None] + rows[None, :]) ** 2
    np.fill_diagonal(squares, 0.0)
    differ = (1 - observed) ** 2 * float((p * squares).sum())
    rest = (observed * expected - 2 * expected + observed) ** 2
    return max(float(agree) + differ - rest, 0.0) / (1 - expected) ** 4


def overlap(one: Square, other: Square) -> float:
    """Intersection over union of two squares of one image: 1 where they are the same, 0 where they do not meet."""
    height, width = (
        min(a + one.side / 2, b + other.side / 2) - max(a - one.side / 2, b - other.side / 2)
        for a, b in ((one.row, other.row), (one.col, other.col))
    )
    shared = max(height, 0.0) * max(width, 0.0)
    return shared / (one.side**2 + other.side**2 - shared)


def matched_squares(
    first: Sequence[Square], second: Sequence[Square], *, at_least: float = 0.0
) -> list[tuple[int, int, float]]:
    """Which squares of two readers mean the same place: the pairs with the largest sum of overlaps.

    Args:
        first: squares of one reader on an image.
        second: of the other.
        at_least: overlap that a pair must exceed.

    Returns:
        Index of the first's, of the second's, and their overlap; each square at most once.
    """
    if not first or not second:
        return []
    table = np.array([[overlap(one, other) for other in second] for one in first])
    rows, columns = linear_sum_assignment(table, maximize=True)
    return [(int(i), int(j), float(table[i, j])) for i, j in zip(rows, columns, strict=True) if table[i, j] > at_least]
