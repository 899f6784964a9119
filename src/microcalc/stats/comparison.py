"""Comparison of areas under the ROC curve: every pair, and all at once.

Takes the areas and their covariance from `auc`, clustered or not. A test that the data do not admit is refused with the
reason; no generalised inverse is ever used.

Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microcalc.stats.auc import DeLong, why_no_variance
from microcalc.stats.distributions import chi2_tail, two_sided_p, two_sided_quantile
from microcalc.stats.inputs import FloatArray, checked_names

__all__ = ["AucDifference", "OverallTest", "auc_overall", "auc_pairs", "same_ranks", "singular_columns"]

_SINGULAR = 1e-10
"""Smallest eigenvalue of the contrasts' correlation matrix that still counts as a direction of its own."""


@dataclass(frozen=True)
class AucDifference:
    """Difference of two areas on the same images, a minus b; NaN and a reason where the test is undefined."""

    a: str
    b: str
    difference: float
    standard_error: float
    low: float
    high: float
    z: float
    p: float
    reason: str = ""


@dataclass(frozen=True)
class OverallTest:
    """Chi-square test that several parameters are equal; NaN and a reason where it is refused."""

    models: tuple[str, ...]
    chi2: float
    df: int
    p: float
    reason: str = ""


def auc_pairs(result: DeLong, names: Sequence[str] | None = None) -> tuple[AucDifference, ...]:
    """Compare every two models: difference of the areas with limits, z and two-sided p.

    Args:
        result: from `delong` or `clustered_delong`.
        names: (k,) of the models.

    Returns:
        The pairs in the order (1, 2), (1, 3), ..., (k-1, k). Identical ranks give difference 0, z 0, p 1; a difference
        from an area of 0 or 1, whose variance cannot be estimated, has no limits and no test.
    """
    models = checked_names(names, models=result.auc.size)
    quantile = two_sided_quantile(result.confidence)
    pairs = []
    for j in range(len(models)):
        for k in range(j + 1, len(models)):
            difference = float(result.auc[j] - result.auc[k])
            variance = float(result.difference_variance[j, k])
            if difference == 0 and variance <= 0:
                same = f"both {same_ranks(result.clusters)}"
                pairs.append(AucDifference(models[j], models[k], 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, same))
                continue
            reason = why_no_variance({models[i]: float(result.auc[i]) for i in (j, k)})
            variance = float("nan") if reason else variance
            pairs.append(_difference(models[j], models[k], difference, variance, quantile, reason))
    return tuple(pairs)


def auc_overall(
    result: DeLong, names: Sequence[str] | None = None, *, among: Sequence[str] | None = None
) -> OverallTest:
    """Test that all areas are equal, by the chi-square of their contrasts.

    Args:
        result: from `delong` or `clustered_delong`.
        names: (k,) of the models.
        among: the models to compare; default all.

    Returns:
        Chi-square with one degree of freedom fewer than models. Where the covariance is singular (a constant or a
        perfect column, columns of identical ranks, fewer images than models) the test is refused, the columns named.
    """
    models = checked_names(names, models=result.auc.size)
    chosen = models if among is None else tuple(among)
    at = [models.index(name) for name in chosen]
    refusal = _why_no_overall(result, chosen, at)
    if refusal:
        return OverallTest(chosen, np.nan, max(len(at) - 1, 0), np.nan, refusal)
    covariance = result.covariance[np.ix_(at, at)]
    contrast = np.hstack([-np.ones((len(at) - 1, 1)), np.eye(len(at) - 1)])
    spread, delta = contrast @ covariance @ contrast.T, contrast @ result.auc[at]
    singular = singular_columns(spread, chosen)
    if singular:
        reason = f"the contrasts of {', '.join(singular)} depend on each other; the overall test is refused"
        return OverallTest(chosen, np.nan, len(at) - 1, np.nan, reason)
    chi2 = float(delta @ np.linalg.solve(spread, delta))
    return OverallTest(chosen, chi2, len(at) - 1, chi2_tail(chi2, len(at) - 1))


def singular_columns(spread: FloatArray, models: Sequence[str]) -> tuple[str, ...]:
    """Name the models whose contrasts with the first one depend on each other; none if the matrix is regular.

    Args:
        spread: (k-1, k-1) covariance of the contrasts of models 2 to k with model 1.
        models: the k names.
    """
    variance = np.diag(spread)
    if not (variance > 0).all():
        return (models[0], *(name for name, bad in zip(models[1:], ~(variance > 0), strict=True) if bad))
    scale = 1 / np.sqrt(variance)
    values, vectors = np.linalg.eigh(spread * scale[:, None] * scale[None, :])
    null = vectors[:, values <= _SINGULAR] * scale[:, None]
    if not null.size:
        return ()
    whole = np.abs(np.vstack([-null.sum(axis=0), null]))
    taking_part = (whole > 1e-6 * whole.max(axis=0)).any(axis=1)
    return tuple(name for name, part in zip(models, taking_part, strict=True) if part)


def _why_no_overall(result: DeLong, chosen: tuple[str, ...], at: list[int]) -> str:
    if len(at) < 2:
        return "an overall test needs two models"
    without = [f"{name} ({result.reasons[j]})" for name, j in zip(chosen, at, strict=True) if result.reasons[j]]
    if without:
        return f"no overall test with {'; '.join(without)}"
    same = [
        f"{chosen[j]} and {chosen[k]}"
        for j in range(len(at))
        for k in range(j + 1, len(at))
        if result.difference_variance[at[j], at[k]] <= 0
    ]
    return f"no overall test: {'; '.join(same)} {same_ranks(result.clusters)}" if same else ""


def same_ranks(clusters: int | None) -> str:
    """Why the difference of two areas has no variance.

    Args:
        clusters: number of patients; None where each image counts by itself.
    """
    alone = "order every malignant-benign pair identically"
    return alone if clusters is None else f"{alone}, or differ by the same in every patient"


def _difference(a: str, b: str, difference: float, variance: float, quantile: float, reason: str) -> AucDifference:
    if np.isnan(difference) or np.isnan(variance):
        reason = reason or "an area or its variance is undefined"
    elif variance > 0:
        error = float(np.sqrt(variance))
        z = difference / error
        low, high = difference - quantile * error, difference + quantile * error
        return AucDifference(a, b, difference, error, low, high, z, two_sided_p(z))
    else:
        reason = "the difference has no positive variance"
    return AucDifference(a, b, difference, np.nan, np.nan, np.nan, np.nan, np.nan, reason)
