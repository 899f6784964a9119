"""Area under the ROC curve with DeLong's covariance, for images and for images clustered in patients.

Placements are counted in whole numbers, so an AUC is exact to the last digit and ties count one half. Comparisons of
models are in `comparison`, curves in `roc`, resampling in `bootstrap`.

Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988); Sun and Xu, IEEE Signal Process Lett 21:1389
(2014); Obuchowski, Biometrics 53:567 (1997).
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from microcalc.stats.distributions import expit, logit, two_sided_quantile
from microcalc.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    checked_clusters,
    checked_confidence,
    checked_labels,
    checked_scores,
)

__all__ = ["DeLong", "clustered_delong", "delong", "placements", "why_no_variance"]

_LOST_DIGITS = 1e-8
"""Below this share of the variances' sum a variance of a difference is computed anew from the differences."""


_MANY = 100_000
"""Images from which on the models are sorted side by side."""


@dataclass(frozen=True)
class DeLong:
    """AUCs of k models on the same images.

    Attributes:
        auc: (k,) areas; below 0.5 stays below 0.5.
        covariance: (k, k) estimated covariance of the areas.
        difference_variance: (k, k) variance of each difference of two areas, exactly 0 for identical ranks.
        standard_error: (k,) NaN where ``reasons`` says why.
        low, high: (k,) normal limits on the AUC scale, kept in [0, 1].
        low_logit, high_logit: (k,) limits that are normal on the logit scale, for areas near 1.
        confidence: level of the limits.
        malignant, benign: numbers of images.
        clusters: number of patients, or None where every image counts as its own cluster.
        reasons: (k,) why a model has no interval; empty where it has one.
    """

    auc: FloatArray
    covariance: FloatArray
    difference_variance: FloatArray
    standard_error: FloatArray
    low: FloatArray
    high: FloatArray
    low_logit: FloatArray
    high_logit: FloatArray
    confidence: float
    malignant: int
    benign: int
    clusters: int | None
    reasons: tuple[str, ...]


def placements(malignant: BoolArray, score: FloatArray) -> tuple[IntArray, IntArray]:
    """Count, for each image, twice the images of the other class that it is on the right side of.

    Args:
        malignant: (n,) with m True.
        score: (n,).

    Returns:
        (m,) twice the benign images below each malignant one and (n - m,) twice the malignant images above each
        benign one; a tie counts 1. The sum of either is 2 m (n - m) AUC, in whole numbers.
    """
    order = np.argsort(score)
    truth, ordered = malignant[order], score[order]
    malignant_so_far = np.cumsum(truth)
    benign_so_far = np.arange(1, score.size + 1) - malignant_so_far
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), score.size - 1)
    if ends.size == score.size:  # no ties: where an image stands is how many lie below it
        twice_malignant, twice_benign = 2 * malignant_so_far - truth, 2 * benign_so_far - ~truth
    else:  # tied images share the mean of what lies below and what lies up to the end of their run
        sizes = np.diff(ends, prepend=-1)
        twice_malignant, twice_benign = (
            np.repeat(so_far[ends] + np.concatenate([[0], so_far[ends[:-1]]]), sizes)
            for so_far in (malignant_so_far, benign_so_far)
        )
    placed = np.empty(score.size, dtype=np.int64)
    placed[order] = np.where(truth, twice_benign, 2 * malignant_so_far[-1] - twice_malignant)
    return placed[malignant], placed[~malignant]


@dataclass(frozen=True)
class _Components:
    """Centred placements summed by cluster, and the factors that make a covariance of them.

    Without clusters ``v10`` has one row per malignant and ``v01`` one per benign image, and there is no cross term.
    """

    v10: FloatArray
    v01: FloatArray
    factor10: float
    factor01: float
    cross: float

    def covariance(self) -> FloatArray:
        total = self.factor10 * (self.v10.T @ self.v10) + self.factor01 * (self.v01.T @ self.v01)
        if self.cross:
            mixed = self.v10.T @ self.v01
            total = total + self.cross * (mixed + mixed.T)
        return np.asarray(total, dtype=np.float64)

    def difference_variance(self, covariance: FloatArray) -> FloatArray:
        variance = np.diag(covariance)
        total = variance[:, None] + variance[None, :]
        out = np.asarray(total - 2 * covariance, dtype=np.float64)
        for j, k in np.argwhere(np.triu(out <= _LOST_DIGITS * total, 1)):
            a, b = self.v10[:, j] - self.v10[:, k], self.v01[:, j] - self.v01[:, k]
            exact = self.factor10 * (a @ a) + self.factor01 * (b @ b)
            out[j, k] = out[k, j] = exact + (2 * self.cross * (a @ b) if self.cross else 0.0)
        np.fill_diagonal(out, 0.0)
        return out


def delong(y_true: ArrayLike, scores: ArrayLike, *, confidence: float = 0.95) -> DeLong:
    """Areas under the ROC curve with DeLong's covariance; each image counts as independent.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        scores: (n,) or (n, k), larger means more suspicious; ties count one half.
        confidence: level of the limits.

    Returns:
        Areas, covariance and limits. One class only, a constant or a perfect score leave NaN and a reason.

    Raises:
        StatisticsError: labels other than 0 and 1, scores that are not finite, lengths that differ.

    Source: DeLong et al. 1988; limits theta -/+ z sqrt(S_jj), kept in [0, 1].

    >>> result = delong([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8])
    >>> float(result.auc[0])
    0.75
    """
    malignant = checked_labels(y_true)
    table = checked_scores(scores, images=malignant.size)
    m, n = int(malignant.sum()), int((~malignant).sum())
    if min(m, n) == 0:
        return _undefined(table.shape[1], m, n, checked_confidence(confidence), None)
    auc, v10, v01 = _centred_placements(malignant, table)
    many = min(m, n) > 1
    parts = _Components(v10, v01, _inverse((m - 1) * m), _inverse((n - 1) * n), 0.0)
    reason = "" if many else f"DeLong's variance needs two images of each class; {m} malignant and {n} benign came"
    return _result(auc, parts, confidence, (m, n), None, reason)


def clustered_delong(y_true: ArrayLike, scores: ArrayLike, clusters: ArrayLike, *, confidence: float = 0.95) -> DeLong:
    """Areas under the ROC curve where images of one patient belong together; the areas are those of `delong`.

    Args:
        y_true: (n,) 0 benign, 1 malignant; a patient may have both.
        scores: (n,) or (n, k).
        clusters: (n,) the patient of each image, in any order.
        confidence: level of the limits.

    Returns:
        As `delong`, with Obuchowski's covariance, which is DeLong's where every patient has one image.

    Raises:
        StatisticsError: as `delong`.

    Source: Obuchowski 1997, equations for S10, S01 and S11.
    """
    malignant = checked_labels(y_true)
    table = checked_scores(scores, images=malignant.size)
    codes = checked_clusters(clusters, images=malignant.size)
    m, n, groups = int(malignant.sum()), int((~malignant).sum()), int(codes.max()) + 1
    if min(m, n) == 0:
        return _undefined(table.shape[1], m, n, checked_confidence(confidence), groups)
    auc, v10, v01 = _centred_placements(malignant, table)
    with_malignant, with_benign = np.unique(codes[malignant]).size, np.unique(codes[~malignant]).size
    parts = _Components(
        _sum_by(codes[malignant], v10, groups),
        _sum_by(codes[~malignant], v01, groups),
        with_malignant * _inverse((with_malignant - 1) * m * m),
        with_benign * _inverse((with_benign - 1) * n * n),
        groups * _inverse((groups - 1) * m * n),
    )
    reason = (
        ""
        if min(with_malignant, with_benign) > 1
        else "the clustered variance needs two patients with malignant and two with benign images;"
        f" {with_malignant} and {with_benign} came"
    )
    return _result(auc, parts, confidence, (m, n), groups, reason)


def _centred_placements(malignant: BoolArray, table: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    m, n, models = int(malignant.sum()), int((~malignant).sum()), table.shape[1]
    auc, v10, v01 = np.empty(models), np.empty((models, m)).T, np.empty((models, n)).T  # columns lie together

    def fill(j: int) -> None:
        below, above = placements(malignant, np.ascontiguousarray(table[:, j]))
        auc[j] = int(below.sum()) / (2 * m * n)
        v10[:, j] = below / (2 * n) - auc[j]
        v01[:, j] = above / (2 * m) - auc[j]

    if models > 1 and m + n >= _MANY:  # sorting lets other threads run
        with ThreadPoolExecutor(min(models, os.cpu_count() or 1)) as pool:
            list(pool.map(fill, range(models)))
    else:
        for j in range(models):
            fill(j)
    return auc, v10, v01


def _result(
    auc: FloatArray, parts: _Components, confidence: float, sizes: tuple[int, int], clusters: int | None, reason: str
) -> DeLong:
    covariance = parts.covariance() if not reason else np.full((auc.size, auc.size), np.nan)
    spread = parts.difference_variance(covariance) if not reason else covariance
    reasons = tuple(reason or _why_no_interval(auc[j], covariance[j, j]) for j in range(auc.size))
    defined = np.array([not r for r in reasons])
    error = np.sqrt(np.where(defined, np.diag(covariance), np.nan))
    quantile = two_sided_quantile(confidence)
    inner = np.where(defined, auc, 0.5)
    half = quantile * error / (inner * (1 - inner))
    return DeLong(
        auc=auc,
        covariance=covariance,
        difference_variance=spread,
        standard_error=error,
        low=np.clip(auc - quantile * error, 0, 1),
        high=np.clip(auc + quantile * error, 0, 1),
        low_logit=expit(logit(inner) - half),
        high_logit=expit(logit(inner) + half),
        confidence=confidence,
        malignant=sizes[0],
        benign=sizes[1],
        clusters=clusters,
        reasons=reasons,
    )


def why_no_variance(areas: Mapping[str, float]) -> str:
    """Which of some areas, by name, have no variance that could be estimated, being 0 or 1; empty if none."""
    return "; ".join(
        f"{name}: an area of {area:.0f} has no variance that could be estimated"
        for name, area in areas.items()
        if area in (0.0, 1.0)
    )


def _why_no_interval(auc: float, variance: float) -> str:
    if auc in (0.0, 1.0):
        return "the scores separate the classes perfectly, so the estimated variance is 0 and gives no interval"
    if variance == 0:
        return "the score does not vary, so the estimated variance is 0 and gives no interval"
    return "" if variance > 0 else "the estimated variance is negative and gives no interval"


def _undefined(models: int, malignant: int, benign: int, confidence: float, clusters: int | None) -> DeLong:
    nothing, square = np.full(models, np.nan), np.full((models, models), np.nan)
    reason = f"an AUC needs both classes; {malignant} malignant and {benign} benign images came"
    return DeLong(
        auc=nothing,
        covariance=square,
        difference_variance=square,
        standard_error=nothing,
        low=nothing,
        high=nothing,
        low_logit=nothing,
        high_logit=nothing,
        confidence=confidence,
        malignant=malignant,
        benign=benign,
        clusters=clusters,
        reasons=(reason,) * models,
    )


def _sum_by(codes: IntArray, values: FloatArray, groups: int) -> FloatArray:
    columns = [np.bincount(codes, weights=values[:, j], minlength=groups) for j in range(values.shape[1])]
    return np.stack(columns, axis=1)


def _inverse(value: float) -> float:
    return 1 / value if value > 0 else np.nan
