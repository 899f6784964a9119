"""A logistic regression of a few columns, with cluster-robust errors, for calibration and recalibration.

Newton's method on small designs; nothing else of regression lives here.
"""

from dataclasses import dataclass

import numpy as np

from microcalc.stats.distributions import expit, logit
from microcalc.stats.inputs import BoolArray, FloatArray, IntArray

__all__ = ["LogisticFit", "fit_logistic", "logits"]

LOGIT_CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logit is taken."""

_STEPS = 100
_TOLERANCE = 1e-12
_RUNAWAY = 1e3
"""A coefficient beyond this means that the classes are separated and there is no maximum."""


@dataclass(frozen=True)
class LogisticFit:
    """Coefficients with sandwich covariance; NaN and a reason where there is no maximum.

    With no more patients than coefficients the covariance alone is NaN: the sandwich would have too small a rank.
    """

    coefficients: FloatArray
    covariance: FloatArray
    reason: str = ""


def logits(probability: FloatArray) -> FloatArray:
    """Log odds, with probabilities kept ``LOGIT_CLIP`` away from 0 and 1."""
    return np.asarray(logit(np.clip(probability, LOGIT_CLIP, 1 - LOGIT_CLIP)), dtype=np.float64)


def fit_logistic(
    design: FloatArray, malignant: BoolArray, *, offset: FloatArray | None = None, clusters: IntArray | None = None
) -> LogisticFit:
    """Fit P(malignant) = expit(design b + offset) by maximum likelihood.

    Args:
        design: (n, q) columns, an intercept among them where one is wanted.
        malignant: (n,).
        offset: (n,) added to the linear predictor.
        clusters: (n,) numbers of the patients for the sandwich; without it each image is its own cluster.
    """
    shift = np.zeros(malignant.size) if offset is None else offset
    columns, outcome = design.shape[1], malignant.astype(np.float64)
    nothing = np.full(columns, np.nan)
    if malignant.all() or not malignant.any():
        return LogisticFit(nothing, np.full((columns, columns), np.nan), "one class only has no maximum likelihood")
    b, likelihood = np.zeros(columns), -np.inf
    for _ in range(_STEPS):
        mean = expit(design @ b + shift)
        weight = mean * (1 - mean)
        information = design.T @ (design * weight[:, None])
        if np.linalg.cond(information) > 1 / np.finfo(float).eps:
            break
        step = np.asarray(np.linalg.solve(information, design.T @ (outcome - mean)), dtype=np.float64)
        b, likelihood = _ascend(design, outcome, shift, (b, step, likelihood))
        if np.abs(b).max() > _RUNAWAY:
            break
        if np.abs(step).max() < _TOLERANCE * (1 + np.abs(b).max()):
            few = clusters is not None and int(clusters.max()) + 1 <= columns
            reason = f"limits need more than {columns} {'patient' if columns == 1 else 'patients'}" if few else ""
            spread = np.full((columns, columns), np.nan) if few else _sandwich(design, outcome, b, shift, clusters)
            return LogisticFit(b, spread, reason)
    reason = "the classes are separated, or the score does not vary, so that there is no maximum likelihood"
    return LogisticFit(nothing, np.full((columns, columns), np.nan), reason)


def _ascend(
    design: FloatArray, outcome: FloatArray, shift: FloatArray, state: tuple[FloatArray, FloatArray, float]
) -> tuple[FloatArray, float]:
    """Newton's step, halved until the likelihood does not fall."""
    b, step, before = state
    for _ in range(30):
        eta = design @ (b + step) + shift
        after = float(np.sum(outcome * eta - np.logaddexp(0, eta)))
        if after >= before - 1e-9 * abs(before if np.isfinite(before) else 1.0):
            break
        step = step / 2
    return b + step, after


def _sandwich(
    design: FloatArray, outcome: FloatArray, b: FloatArray, shift: FloatArray, clusters: IntArray | None
) -> FloatArray:
    mean = expit(design @ b + shift)
    bread = np.linalg.inv(design.T @ (design * (mean * (1 - mean))[:, None]))
    score = design * (outcome - mean)[:, None]
    if clusters is not None:
        groups = int(clusters.max()) + 1
        score = np.column_stack([np.bincount(clusters, weights=column, minlength=groups) for column in score.T])
    return np.asarray(bread @ (score.T @ score) @ bread, dtype=np.float64)
