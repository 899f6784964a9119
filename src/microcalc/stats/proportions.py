"""Intervals of a proportion: Wald, Wilson, Clopper-Pearson, and Wald in the paper's two-step rounding.

Images count as independent here; intervals that respect patients are in `gee` (robust) and `bootstrap`.

Sources: Wilson, JASA 22:209 (1927); Clopper and Pearson, Biometrika 26:404 (1934); Brown, Cai and DasGupta, Stat Sci
16:101 (2001) on why Wald is the worst of them.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

import numpy as np

from microcalc.errors import StatisticsError
from microcalc.stats.distributions import beta_quantile, two_sided_quantile
from microcalc.stats.inputs import checked_confidence

__all__ = ["PaperLimits", "Proportion", "clopper_pearson", "paper_limits", "wald", "wilson"]

_PERCENT_STEP = Decimal("0.01")
"""The paper prints percentages with two decimals."""


@dataclass(frozen=True)
class Proportion:
    """A proportion with limits.

    Attributes:
        estimate: successes / n, NaN where n is 0.
        low, high: limits in [0, 1]; NaN where ``reason`` says why.
        successes, n: the fraction.
        method: how the limits were made.
        reason: why something is NaN; empty where nothing is.
    """

    estimate: float
    low: float
    high: float
    successes: int
    n: int
    method: str
    reason: str = ""


@dataclass(frozen=True)
class PaperLimits:
    """A percentage as the paper prints it; None where it is undefined.

    Attributes:
        estimate: percent, two decimals.
        low, high: the rounded estimate minus and plus the rounded half-width.
        reason: why something is None.
    """

    estimate: Decimal | None
    low: Decimal | None
    high: Decimal | None
    reason: str = ""


def wald(successes: int, n: int, *, confidence: float = 0.95) -> Proportion:
    """Wald's interval, p -/+ z sqrt(p (1 - p) / n), kept in [0, 1].

    At 0 and 100 % it has no width, which would claim certainty: there the limits are NaN, with the reason.

    Raises:
        StatisticsError: not 0 <= successes <= n.
    """
    reason = _why_undefined(successes, n) or _why_no_width(successes, n)
    if reason:
        return Proportion(_share(successes, n), np.nan, np.nan, successes, n, "wald", reason)
    estimate = successes / n
    half = _quantile(confidence) * np.sqrt(estimate * (1 - estimate) / n)
    low, high = float(max(estimate - half, 0.0)), float(min(estimate + half, 1.0))
    return Proportion(estimate, low, high, successes, n, "wald")


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Proportion:
    """Wilson's score interval.

    Raises:
        StatisticsError: not 0 <= successes <= n.
    """
    reason = _why_undefined(successes, n)
    if reason:
        return Proportion(np.nan, np.nan, np.nan, successes, n, "wilson", reason)
    z, estimate = _quantile(confidence), successes / n
    centre = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * float(np.sqrt(n * estimate * (1 - estimate) + z * z / 4))
    low = 0.0 if successes == 0 else max(centre - half, 0.0)
    high = 1.0 if successes == n else min(centre + half, 1.0)
    return Proportion(estimate, low, high, successes, n, "wilson")


def clopper_pearson(successes: int, n: int, *, confidence: float = 0.95) -> Proportion:
    """The interval of Clopper and Pearson from binomial tails; never too short, often too long.

    Raises:
        StatisticsError: not 0 <= successes <= n.
    """
    reason = _why_undefined(successes, n)
    if reason:
        return Proportion(np.nan, np.nan, np.nan, successes, n, "clopper_pearson", reason)
    tail = (1 - checked_confidence(confidence)) / 2
    low = 0.0 if successes == 0 else beta_quantile(tail, successes, n - successes + 1)
    high = 1.0 if successes == n else beta_quantile(1 - tail, successes + 1, n - successes)
    return Proportion(successes / n, low, high, successes, n, "clopper_pearson")


def paper_limits(successes: int, n: int, *, confidence: float = 0.95) -> PaperLimits:
    """Percentage and Wald limits as the paper prints them.

    The estimate and the half-width are each rounded to two decimals of a percent (half up, on exact fractions) before
    one is taken from the other. All 60 limits of Table 1 of Kang et al. 2021 follow; rounding once at the end does not
    give them.

    Raises:
        StatisticsError: not 0 <= successes <= n.
    """
    reason = _why_undefined(successes, n)
    if reason:
        return PaperLimits(None, None, None, reason)
    with localcontext() as context:
        context.prec = 60
        estimate = (Decimal(100 * successes) / Decimal(n)).quantize(_PERCENT_STEP, ROUND_HALF_UP)
        variance = Decimal(successes * (n - successes)) / Decimal(n) ** 3
        half = (100 * Decimal(_quantile(confidence)) * variance.sqrt()).quantize(_PERCENT_STEP, ROUND_HALF_UP)
        low, high = max(estimate - half, Decimal("0.00")), min(estimate + half, Decimal("100.00"))
    no_width = _why_no_width(successes, n)
    return PaperLimits(estimate, None, None, no_width) if no_width else PaperLimits(estimate, low, high)


def _quantile(confidence: float) -> float:
    return two_sided_quantile(confidence)


def _share(successes: int, n: int) -> float:
    return successes / n if n else np.nan


def _why_undefined(successes: int, n: int) -> str:
    if not 0 <= successes <= n:
        raise StatisticsError(f"a proportion needs 0 <= successes <= n; {successes} of {n} came")
    return "" if n else "the denominator is 0"


def _why_no_width(successes: int, n: int) -> str:
    if 0 < successes < n:
        return ""
    return "at 0 % and 100 % limits from the estimated variance have no width; see Wilson's"
