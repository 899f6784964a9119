"""The few distributions that tests and intervals need, from the standard library's error function and numpy.

`scipy.special` has them too, but importing it takes longer than everything that is computed with them; the tests
compare these with it. No statistic lives here.
"""

import functools
import math

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.inputs import FloatArray, checked_confidence

__all__ = ["beta_quantile", "chi2_tail", "expit", "logit", "normal_cdf", "two_sided_p", "two_sided_quantile"]

_TINY = 1e-300
_CLOSE_ENOUGH = 1e-14
_SETTLED = 1e-13
_STEPS = 10_000


def normal_cdf(z: float) -> float:
    """P(Z <= z) of the standard normal distribution; NaN stays NaN."""
    return math.erfc(-z / math.sqrt(2)) / 2


def two_sided_p(z: float) -> float:
    """P(|Z| >= |z|) of the standard normal distribution."""
    return math.erfc(abs(z) / math.sqrt(2))


def two_sided_quantile(confidence: float) -> float:
    """The z that bounds the middle of the standard normal distribution: 1.959964 for 0.95.

    Raises:
        StatisticsError: a confidence that is not between 0 and 1.
    """
    tail, z = 1 - checked_confidence(confidence), 0.0
    for _ in range(_STEPS):  # Newton's steps from the left of a convex curve never pass the root
        step = (two_sided_p(z) - tail) * math.sqrt(math.pi / 2) * math.exp(z * z / 2)
        z += step
        if step <= _CLOSE_ENOUGH:
            break
    return z


def chi2_tail(value: float, df: int) -> float:
    """P(chi-square with df degrees of freedom >= value), by its finite series of positive terms; NaN stays NaN.

    Source: Abramowitz and Stegun, 26.4.4 and 26.4.5.
    """
    if math.isnan(value) or df < 1:
        return math.nan
    half = max(value, 0.0) / 2
    if df % 2:
        total, term, start = math.erfc(math.sqrt(half)), 2 * math.sqrt(half / math.pi) * math.exp(-half), 1
    else:
        total, term, start = 0.0, math.exp(-half), 0
    for k in range(start, df, 2):
        total += term
        term *= half / (k / 2 + 1)
    return min(total, 1.0)


def expit(x: ArrayLike) -> FloatArray:
    """1 / (1 + exp(-x)), element by element, without overflow."""
    value = np.asarray(x, dtype=np.float64)
    small = np.exp(-np.abs(value))
    return np.asarray(np.where(value >= 0, 1, small) / (1 + small), dtype=np.float64)


def logit(p: ArrayLike) -> FloatArray:
    """log(p / (1 - p)), element by element, for p inside (0, 1)."""
    value = np.asarray(p, dtype=np.float64)
    return np.asarray(np.log(value) - np.log1p(-value), dtype=np.float64)


@functools.lru_cache(maxsize=4096)
def beta_quantile(p: float, a: float, b: float) -> float:
    """The x with P(Beta(a, b) <= x) = p, by Newton's steps from a normal start, kept inside a bracket that shrinks.

    Raises:
        StatisticsError: parameters below 1 (they do not occur in intervals of proportions).
    """
    if min(a, b) < 1 or not 0 < p < 1:
        raise StatisticsError(f"a beta quantile needs a, b >= 1 and 0 < p < 1; p {p}, a {a}, b {b} came")
    z = math.copysign(two_sided_quantile(abs(1 - 2 * p)), p - 0.5) if p != 0.5 else 0.0
    start = a / (a + b) + z * math.sqrt(a * b / (a + b + 1)) / (a + b)
    low, high, x = 0.0, 1.0, min(max(start, a / (a + b) / 2), (1 + a / (a + b)) / 2)
    constant = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for _ in range(_STEPS):
        excess = _beta_cdf(x, a, b, constant) - p
        low, high = (low, x) if excess > 0 else (x, high)
        density = math.exp(constant + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))
        step = x - excess / density if density > 0 else -1.0
        following = step if low < step < high else (low + high) / 2
        if abs(following - x) <= _SETTLED * x:
            return following
        x = following
    return x


def _beta_cdf(x: float, a: float, b: float, constant: float) -> float:
    """The regularised incomplete beta function by its continued fraction, on the side where that converges fast."""
    front = math.exp(constant + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's evaluation of the continued fraction 26.5.8 of Abramowitz and Stegun."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        for part in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + part * d)
            c = _away_from_zero(1 + part / c)
            value *= c * d
        if abs(c * d - 1) < _CLOSE_ENOUGH:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
