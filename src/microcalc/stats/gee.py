"""Comparison of accuracy, sensitivity, specificity, PPV and NPV between models by generalised estimating equations.

The marginal logistic model with one mean per model, independence working correlation and sandwich variance (no
small-sample factor) is saturated, so everything has a closed form: nothing is iterated here. Clusters are images (each
image seen by every model) or patients.

Sources: Liang and Zeger, Biometrika 73:13 (1986); Rotnitzky and Jewell, Biometrika 77:485 (1990) for the generalised
score test; Leisenring, Alonzo and Pepe, Biometrics 56:345 (2000) for PPV and NPV.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.comparison import singular_columns
from microcalc.stats.distributions import chi2_tail, logit, two_sided_quantile
from microcalc.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    checked_clusters,
    checked_labels,
    checked_names,
)
from microcalc.stats.operating_point import Measure, measure_rows

__all__ = ["OVERALL", "Gee", "GeeTest", "gee", "undefined_gee"]

OVERALL = "overall"
"""Stands in place of the first model in the row of an overall test."""


AT_THE_EDGE = "a proportion of 0 or 1 has no logit, and its variance cannot be estimated: no Wald statistic"

_ROUNDING = 1e-24
"""Share of the terms' squares that a variance must exceed to be more than rounding."""


@dataclass(frozen=True)
class GeeTest:
    """Equality of one measure between two models, or between all; NaN and a reason where a statistic is undefined.

    Attributes:
        a, b: the two models; ``overall`` and an empty text for the overall test.
        df: degrees of freedom of each statistic.
        difference, low, high: estimate of a minus that of b with robust limits; NaN for the overall test.
        wald_logit, p_wald_logit: Wald's statistic on the logit scale (geepack's); like the other one NaN at 0 and 1.
        score, p_score: generalised score statistic (type 3 of SAS's GENMOD); McNemar's for two models and images.
        wald_identity, p_wald_identity: Wald's statistic on the scale of the proportions.
        reason: why something is NaN.
    """

    a: str
    b: str
    df: int
    difference: float
    low: float
    high: float
    wald_logit: float
    p_wald_logit: float
    score: float
    p_score: float
    wald_identity: float
    p_wald_identity: float
    reason: str = ""


@dataclass(frozen=True)
class Gee:
    """One measure of k models with cluster-robust variance.

    Attributes:
        measure: which.
        models: the k names.
        estimate: (k,) the proportions, NaN where no image enters.
        n: (k,) images that enter each.
        covariance: (k, k) robust covariance of the proportions.
        standard_error, low, high: (k,) robust Wald limits in [0, 1]; NaN at 0 % and 100 %.
        clusters: number of clusters.
        overall: the test that all are equal.
        pairs: every two models.
    """

    measure: Measure
    models: tuple[str, ...]
    estimate: FloatArray
    n: IntArray
    covariance: FloatArray
    standard_error: FloatArray
    low: FloatArray
    high: FloatArray
    clusters: int
    overall: GeeTest
    pairs: tuple[GeeTest, ...]


def gee(
    y_true: ArrayLike,
    decisions: ArrayLike,
    *,
    measure: Measure | str,
    clusters: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> Gee:
    """Compare one measure between k models on the same images.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        decisions: (n, k) True or 1 where a model calls malignant.
        measure: one of the five of `Measure`.
        clusters: (n,) patient of each image; without it each image is its own cluster.
        names: (k,) of the models.
        confidence: level of the limits.

    Raises:
        StatisticsError: labels, decisions or clusters that are not usable.

    Source: DESIGN section 6 of this project; `docs/statistics.md` has the formulas.
    """
    malignant = checked_labels(y_true)
    called = _checked_decisions(decisions, images=malignant.size)
    models = checked_names(names, models=called.shape[1])
    codes = None if clusters is None else checked_clusters(clusters, images=malignant.size)
    weights, outcome = measure_rows(Measure(measure), malignant, called)
    table = _Sums.of(weights, outcome, codes, _ENTERING.get(Measure(measure), ""))
    covariance = table.covariance()
    inside = (table.estimate > 0) & (table.estimate < 1) & (not table.few_clusters())
    error = np.sqrt(np.where(inside, np.diag(covariance), np.nan))
    quantile = two_sided_quantile(confidence)
    pairs = [(j, k) for j in range(len(models)) for k in range(j + 1, len(models))]
    return Gee(
        measure=Measure(measure),
        models=models,
        estimate=table.estimate,
        n=table.n,
        covariance=covariance,
        standard_error=error,
        low=np.clip(table.estimate - quantile * error, 0, 1),
        high=np.clip(table.estimate + quantile * error, 0, 1),
        clusters=malignant.size if codes is None else int(codes.max()) + 1,
        overall=_overall(table, covariance, models),
        pairs=tuple(_pair(table, j, k, models, quantile) for j, k in pairs),
    )


def undefined_gee(measure: Measure, models: tuple[str, ...], reason: str) -> Gee:
    """Answer for a comparison that cannot be made: NaN throughout, and the reason."""
    k = len(models)
    nothing, none = np.full(k, np.nan), np.zeros(k, dtype=np.int64)
    pairs = tuple(_empty(models[i], models[j], 1, reason) for i in range(k) for j in range(i + 1, k))
    overall = _empty(OVERALL, "", k - 1, reason)
    return Gee(measure, models, nothing, none, np.full((k, k), np.nan), nothing, nothing, nothing, 0, overall, pairs)


_ENTERING = {Measure.SENSITIVITY: "malignant", Measure.SPECIFICITY: "benign"}
"""Whose images a measure is about; PPV and NPV take those that a model calls so, of either class."""


@dataclass(frozen=True)
class _Sums:
    """Sums over each cluster g and model j: (G, k) of w y and of w, and what follows from them.

    ``entering`` is the class of the images that the measure is about, empty for both.
    """

    events: FloatArray
    weights: FloatArray
    n: IntArray
    estimate: FloatArray
    by_image: bool
    entering: str

    @property
    def alike(self) -> str:
        """What is said of models with the same sums in every cluster."""
        if self.by_image:
            return "decide identically" + (f" on the {self.entering} images" if self.entering else "")
        return f"have the same counts{f' of {self.entering} images' if self.entering else ''} in every patient"

    def few_clusters(self, *columns: int) -> str:
        """Why the clusters give no variance, of all models or some; empty where they do."""
        entering = int((self.weights[:, columns or slice(None)].sum(axis=1) > 0).sum())
        return "" if entering > 1 else f"a variance between clusters needs at least 2 of them; {entering} came"

    @classmethod
    def of(cls, weights: BoolArray, outcome: BoolArray, codes: IntArray | None, entering: str) -> "_Sums":
        hit, seen = (weights & outcome).astype(np.float64), weights.astype(np.float64)
        if codes is not None:
            groups = int(codes.max()) + 1
            hit, seen = _sum_by(codes, hit, groups), _sum_by(codes, seen, groups)
        n = seen.sum(axis=0)
        estimate = np.divide(hit.sum(axis=0), n, out=np.full(n.size, np.nan), where=n > 0)
        return cls(hit, seen, n.astype(np.int64), estimate, codes is None, entering)

    def influence(self, mean: FloatArray | float, at: Sequence[int] | IntArray) -> FloatArray:
        """(G, len(at)) sum of w (y - mean) over each cluster, divided by n."""
        columns = list(at)
        residual = self.events[:, columns] - self.weights[:, columns] * mean
        return np.asarray(residual / self.n[columns], dtype=np.float64)

    def covariance(self) -> FloatArray:
        used = np.flatnonzero(self.n > 0)
        out = np.full((self.n.size, self.n.size), np.nan)
        influence = self.influence(self.estimate[used], used)
        out[np.ix_(used, used)] = influence.T @ influence
        return out


def _overall(table: _Sums, covariance: FloatArray, models: tuple[str, ...]) -> GeeTest:
    k = len(models)
    refusal = table.few_clusters() or _why_no_overall(table, models)
    if refusal:
        return _empty(OVERALL, "", k - 1, refusal)
    everyone = range(k)
    pooled = float(table.events.sum() / table.n.sum())
    null = table.influence(pooled, everyone)
    inside = bool(((table.estimate > 0) & (table.estimate < 1)).all())
    score, singular_score = _quadratic(table.estimate, null.T @ null, models)
    identity = on_logits = np.nan
    singular = singular_logit = tuple[str, ...]()
    reason = "" if inside else AT_THE_EDGE
    if inside:
        identity, singular = _quadratic(table.estimate, covariance, models)
        slope = table.estimate * (1 - table.estimate)
        scaled = covariance / np.outer(slope, slope)
        on_logits, singular_logit = _quadratic(logit(table.estimate), scaled, models)
    columns = singular or singular_score or singular_logit
    if columns:
        reason = f"the contrasts of {', '.join(columns)} depend on each other; the overall test is refused"
    values = [(value, chi2_tail(value, k - 1)) for value in (on_logits, score, identity)]
    (w, pw), (s, ps), (i, pi) = values
    return GeeTest(OVERALL, "", k - 1, np.nan, np.nan, np.nan, w, pw, s, ps, i, pi, reason)


def _why_no_overall(table: _Sums, models: tuple[str, ...]) -> str:
    if len(models) < 2:
        return "an overall test needs two models"
    empty = [name for name, n in zip(models, table.n, strict=True) if n == 0]
    if empty:
        return f"no image enters for {', '.join(empty)}; the overall test is refused"
    same = [
        f"{models[j]} and {models[k]}"
        for j in range(len(models))
        for k in range(j + 1, len(models))
        if _identical(table, j, k)
    ]
    return f"no overall test: {'; '.join(same)} {table.alike}" if same else ""


def _identical(table: _Sums, j: int, k: int) -> bool:
    return bool(
        np.array_equal(table.events[:, j], table.events[:, k])
        and np.array_equal(table.weights[:, j], table.weights[:, k])
    )


def _quadratic(values: FloatArray, covariance: FloatArray, models: tuple[str, ...]) -> tuple[float, tuple[str, ...]]:
    """Statistic of the contrasts with the first model, or the columns that make it singular."""
    contrast = np.hstack([-np.ones((len(models) - 1, 1)), np.eye(len(models) - 1)])
    spread, delta = contrast @ covariance @ contrast.T, contrast @ values
    singular = singular_columns(spread, models)
    return (np.nan, singular) if singular else (float(delta @ np.linalg.solve(spread, delta)), ())


def _pair(table: _Sums, j: int, k: int, models: tuple[str, ...], quantile: float) -> GeeTest:
    a, b = models[j], models[k]
    if min(table.n[j], table.n[k]) == 0:
        empty = [models[i] for i in (j, k) if table.n[i] == 0]
        return _empty(a, b, 1, f"no image enters for {', '.join(empty)}")
    p, q = float(table.estimate[j]), float(table.estimate[k])
    if _identical(table, j, k):
        return GeeTest(a, b, 1, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, f"both {table.alike}")
    few = table.few_clusters(j, k)
    if few:
        return _empty(a, b, 1, few)
    pooled = float((table.events[:, [j, k]]).sum() / (table.n[j] + table.n[k]))
    null = table.influence(pooled, (j, k))
    own = table.influence(table.estimate[[j, k]], (j, k))
    score = _ratio(p - q, null)
    identity = on_logits = half = np.nan
    inside = 0 < p < 1 and 0 < q < 1
    reasons = [] if inside else [AT_THE_EDGE]
    if inside:
        identity = _ratio(p - q, own)
        on_logits = _ratio(float(logit(p) - logit(q)), own / np.array([p * (1 - p), q * (1 - q)]))
        half = quantile * float(np.sqrt(np.sum((own[:, 0] - own[:, 1]) ** 2)))
    if np.isnan(score) or (inside and np.isnan(identity)):
        reasons.append("the difference has no variance between the clusters")
        half = np.nan
    (w, pw), (s, ps), (i, pi) = ((v, chi2_tail(v, 1)) for v in (on_logits, score, identity))
    return GeeTest(a, b, 1, p - q, p - q - half, p - q + half, w, pw, s, ps, i, pi, "; ".join(reasons))


def _ratio(difference: float, influence: FloatArray) -> float:
    """Square of a difference over its variance, from the (G, 2) influence of the clusters on its two terms."""
    variance = float(np.sum((influence[:, 0] - influence[:, 1]) ** 2))
    if variance > _ROUNDING * float(np.sum(influence**2)):
        return difference * difference / variance
    return 0.0 if difference == 0 else np.nan


def _empty(a: str, b: str, df: int, reason: str) -> GeeTest:
    nan = float("nan")
    return GeeTest(a, b, max(df, 0), nan, nan, nan, nan, nan, nan, nan, nan, nan, reason)


def _checked_decisions(decisions: ArrayLike, *, images: int) -> BoolArray:
    table = np.asarray(decisions)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or table.shape[0] != images or table.shape[1] == 0:
        raise StatisticsError(f"decisions must have one row for each of the {images} labels; shape {table.shape} came")
    if table.dtype != np.bool_ and not np.isin(table, (0, 1)).all():
        raise StatisticsError("decisions must be 0 (benign) or 1 (malignant); use a cut-off to turn scores into them")
    return np.asarray(table, dtype=np.bool_)


def _sum_by(codes: IntArray, values: FloatArray, groups: int) -> FloatArray:
    columns = [np.bincount(codes, weights=values[:, j], minlength=groups) for j in range(values.shape[1])]
    return np.stack(columns, axis=1)
