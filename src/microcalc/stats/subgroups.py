"""Whether a model does as well in every group: areas by group, and a test that they are equal.

Images of one patient may fall into several groups (two views of one breast), so the areas of the groups are correlated;
their covariance is made of each patient's influence on every group's area.

The test is made on the logits of the areas, whose distribution is nearer the normal one in groups of some dozens of
images; on the areas themselves it rejects two to three times too often where five or six such groups are compared.

Source: the influence form of Obuchowski, Biometrics 53:567 (1997), with her factor I / (I - 1) within each class;
chi-square test of contrasts; the logit of an area as in Pepe, The Statistical Evaluation of Medical Tests, 2003, 5.2.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from microcalc.errors import StatisticsError
from microcalc.predictions import ScoreTable
from microcalc.stats.auc import clustered_delong, placements, why_no_variance
from microcalc.stats.comparison import singular_columns
from microcalc.stats.distributions import chi2_tail, logit
from microcalc.stats.gee import gee
from microcalc.stats.inputs import BoolArray, FloatArray, IntArray, checked_clusters
from microcalc.stats.operating_point import Measure, confusion
from microcalc.stats.proportions import Proportion, wilson

__all__ = [
    "CONTACT_UP_TO",
    "VARIABLES",
    "InteractionTest",
    "SubgroupAuc",
    "SubgroupCounts",
    "Subgroups",
    "groups_of",
    "subgroup_columns",
    "subgroups",
    "too_many_groups",
]

VARIABLES = ("view", "magnification", "site", "manufacturer", "morphology", "distribution", "birads", "year")
"""Facts of an image by which groups are usually formed."""

MOST_GROUPS = 12
"""A column with more values than this is no grouping; years are joined to periods first."""

CONTACT_UP_TO = 1.1
"""Factor of magnification: contact views have up to 1.1 by the breast's thickness, magnification views 1.5 and more."""

SMALLEST_CLASS = 10
"""A group with fewer images of either class is marked as too small and left out of the test."""


@dataclass(frozen=True)
class SubgroupCounts:
    """What a cut-off calls in one group.

    Attributes:
        cutoff: of the model, the same in all groups.
        tp, fn, tn, fp: images.
        sensitivity, specificity: with Wilson's limits, images as independent; NaN where the class is empty.
        sensitivity_patient, specificity_patient: limits (low, high) with patients as clusters; NaN at 0 and 1.
    """

    cutoff: float
    tp: int
    fn: int
    tn: int
    fp: int
    sensitivity: Proportion
    specificity: Proportion
    sensitivity_patient: tuple[float, float]
    specificity_patient: tuple[float, float]


@dataclass(frozen=True)
class SubgroupAuc:
    """One model in one group; limits are patient-clustered.

    Attributes:
        model, group: names.
        images, patients, malignant, benign: who is in the group.
        auc, standard_error, low, high: NaN where ``reason`` says why.
        too_small: fewer than ten images of a class.
        reason: why something is NaN.
        counts: at the model's cut-off; None without one.
    """

    model: str
    group: str
    images: int
    patients: int
    malignant: int
    benign: int
    auc: float
    standard_error: float
    low: float
    high: float
    too_small: bool
    reason: str = ""
    counts: SubgroupCounts | None = None


@dataclass(frozen=True)
class InteractionTest:
    """Test that a model's area is the same in all groups that are large enough."""

    model: str
    groups: tuple[str, ...]
    chi2: float
    df: int
    p: float
    reason: str = ""


@dataclass(frozen=True)
class Subgroups:
    """One variable.

    Attributes:
        variable: its name.
        rows: every model in every group.
        interactions: one test per model.
        without_value: images for which the variable is not known; they are in no group.
        warnings: plain sentences about groups that are too small.
    """

    variable: str
    rows: tuple[SubgroupAuc, ...]
    interactions: tuple[InteractionTest, ...]
    without_value: int
    warnings: tuple[str, ...]


def subgroup_columns(images: pd.DataFrame) -> tuple[str, ...]:
    """Name those of `VARIABLES` that divide the images: at least 2 groups that are known, at most 12."""
    return tuple(name for name, count in _counts_of_groups(images).items() if 2 <= count <= MOST_GROUPS)


def too_many_groups(images: pd.DataFrame) -> dict[str, int]:
    """Those of `VARIABLES` with more than 12 values, and how many: they make no subgroups by themselves."""
    return {name: count for name, count in _counts_of_groups(images).items() if count > MOST_GROUPS}


def _counts_of_groups(images: pd.DataFrame) -> dict[str, int]:
    columns = {name: groups_of(images[name], variable=name) for name in VARIABLES if name in images}
    return {name: len(set(groups) - {""}) for name, groups in columns.items()}


def groups_of(values: ArrayLike, *, variable: str) -> NDArray[np.object_]:
    """Put the values of a variable into groups.

    Factors of magnification become ``contact`` and ``magnified``, for every view has a factor of its own; more than 12
    years become periods of equal length. All others stay as they are.

    Args:
        values: (n,) of the images as text; empty where it is not known.
        variable: its name.

    Returns:
        (n,) text.
    """
    given = np.array([str(value) for value in np.asarray(values, dtype=object)], dtype=object)
    if variable == "magnification" and _all_match(given, r"\d+(\.\d+)?"):
        return np.array([_exposure(value) for value in given], dtype=object)
    years = sorted({int(value) for value in given if value}) if _all_match(given, r"\d{4}") else []
    if variable == "year" and len(years) > MOST_GROUPS:
        length = -(-(years[-1] - years[0] + 1) // MOST_GROUPS)
        return np.array([_period(value, years[0], length) for value in given], dtype=object)
    return given


def _all_match(values: NDArray[np.object_], pattern: str) -> bool:
    return all(re.fullmatch(pattern, value) for value in values if value)


def _exposure(factor: str) -> str:
    return factor and ("magnified" if float(factor) > CONTACT_UP_TO else "contact")


def _period(year: str, first: int, length: int) -> str:
    if not year:
        return ""
    begin = first + (int(year) - first) // length * length
    return f"{begin}–{begin + length - 1}"


def subgroups(
    table: ScoreTable,
    values: ArrayLike,
    *,
    variable: str,
    cutoffs: Mapping[str, float] | None = None,
    smallest: int = SMALLEST_CLASS,
    confidence: float = 0.95,
) -> Subgroups:
    """Judge every model in every group of a variable.

    Args:
        table: scores of the test set.
        values: (n,) value of each image as text; empty where it is not known. `groups_of` puts them into groups.
        variable: name of the variable.
        cutoffs: of the models, for the counts.
        smallest: fewest images of each class that make a group large enough.
        confidence: level of the limits.

    Raises:
        StatisticsError: another number of values than of images.
    """
    group = groups_of(values, variable=variable)
    if group.shape != table.y_true.shape:
        raise StatisticsError(f"{variable} needs a value for each of {table.y_true.size} images; {group.shape} came")
    names = sorted({str(value) for value in group if value != ""}, key=_natural)
    inside = {name: group == name for name in names}
    rows = [
        replace(row, counts=_counts(table, row.model, inside[name], (cutoffs or {}).get(row.model), confidence))
        for name in names
        for row in _rows(table, name, inside[name], smallest, confidence)
    ]
    enough = [name for name in names if not _too_small(table.y_true[inside[name]], smallest)]
    tests = [_interaction(table, j, [(name, inside[name]) for name in enough]) for j in range(len(table.models))]
    warnings = [
        f"{variable} {name}: {int(table.y_true[inside[name]].sum())} malignant and"
        f" {int((1 - table.y_true[inside[name]]).sum())} benign images are too few to say anything"
        for name in names
        if name not in enough
    ]
    return Subgroups(variable, tuple(rows), tuple(tests), int((group == "").sum()), tuple(warnings))


def _rows(table: ScoreTable, name: str, inside: BoolArray, smallest: int, confidence: float) -> list[SubgroupAuc]:
    y, patients = table.y_true[inside], table.patients[inside]
    result = clustered_delong(y, table.scores[inside], patients, confidence=confidence)
    return [
        SubgroupAuc(
            model=model,
            group=name,
            images=y.size,
            patients=len(set(patients)),
            malignant=result.malignant,
            benign=result.benign,
            auc=float(result.auc[j]),
            standard_error=float(result.standard_error[j]),
            low=float(result.low[j]),
            high=float(result.high[j]),
            too_small=_too_small(y, smallest),
            reason=result.reasons[j],
        )
        for j, model in enumerate(table.models)
    ]


def _counts(
    table: ScoreTable, model: str, inside: BoolArray, cutoff: float | None, confidence: float
) -> SubgroupCounts | None:
    if cutoff is None or np.isnan(cutoff):
        return None
    y, score = table.y_true[inside], table.scores[inside, table.models.index(model)]
    both = (Measure.SENSITIVITY, Measure.SPECIFICITY)
    found, called = confusion(y, score, cutoff), (score > cutoff)[:, None]
    sensitivity, specificity = (wilson(*found.fraction(m), confidence=confidence) for m in both)
    robust = (gee(y, called, measure=m, clusters=table.patients[inside], confidence=confidence) for m in both)
    limits = [(float(value.low[0]), float(value.high[0])) for value in robust]
    return SubgroupCounts(cutoff, found.tp, found.fn, found.tn, found.fp, sensitivity, specificity, *limits)


def _interaction(table: ScoreTable, model: int, groups: Sequence[tuple[str, BoolArray]]) -> InteractionTest:
    names, name = tuple(group for group, _ in groups), table.models[model]
    if len(groups) < 2:
        return InteractionTest(name, names, np.nan, 0, np.nan, "fewer than two groups are large enough")
    codes = checked_clusters(table.patients, images=table.y_true.size)
    count = int(codes.max()) + 1
    areas, influence = np.empty(len(groups)), np.zeros((count, len(groups)))
    for g, (_, inside) in enumerate(groups):
        malignant = table.y_true[inside] == 1
        areas[g], per_image = _influence(malignant, table.scores[inside, model], codes[inside])
        influence[:, g] = np.bincount(codes[inside], weights=per_image, minlength=count)
    df = len(groups) - 1
    reason = why_no_variance(dict(zip(names, areas.tolist(), strict=True)))
    if not np.isfinite(influence).all():
        reason = reason or "a group has the malignant or the benign images of one patient alone"
    if reason:
        return InteractionTest(name, names, np.nan, df, np.nan, reason)
    contrast = np.hstack([-np.ones((df, 1)), np.eye(df)])
    influence /= areas * (1 - areas)
    spread = contrast @ (influence.T @ influence) @ contrast.T
    singular = singular_columns(spread, names)
    if singular:
        return InteractionTest(name, names, np.nan, df, np.nan, f"no variance between {', '.join(singular)}")
    delta = contrast @ logit(areas)
    chi2 = float(delta @ np.linalg.solve(spread, delta))
    return InteractionTest(name, names, chi2, df, chi2_tail(chi2, df))


def _influence(malignant: BoolArray, score: FloatArray, codes: IntArray) -> tuple[float, FloatArray]:
    """Area of a group and each image's influence on it; NaN where one patient has all images of a class."""
    below, above = placements(malignant, score)
    m, n = below.size, above.size
    area = int(below.sum()) / (2 * m * n)
    out = np.empty(malignant.size)
    out[malignant] = (below / (2 * n) - area) / m * _between(codes[malignant])
    out[~malignant] = (above / (2 * m) - area) / n * _between(codes[~malignant])
    return area, out


def _between(codes: IntArray) -> float:
    """Root of I / (I - 1) for the I patients of a class: their mean is that of the sample."""
    patients = np.unique(codes).size
    return float(np.sqrt(patients / (patients - 1))) if patients > 1 else float("nan")


def _too_small(y: np.ndarray[tuple[int], np.dtype[np.int64]], smallest: int) -> bool:
    malignant = int(y.sum())
    return min(malignant, y.size - malignant) < smallest


def _natural(name: str) -> tuple[float, str]:
    """By the number that a name begins with, then by the rest: 3, 4A, 4B, 5."""
    number = re.match(r"\d+(\.\d+)?", name)
    return (float(number[0]), name[number.end() :]) if number else (float("inf"), name)
