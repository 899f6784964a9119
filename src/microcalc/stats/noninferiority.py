"""Readers against models: paired differences of areas, and whether a model is worse by less than a margin.

Readers are fixed: the answer is about these readers, not about all who could have read. The margin has to be stated
before the data are seen.

Source: Blackwelder, Control Clin Trials 3:345 (1982); limits and test from DeLong's or Obuchowski's covariance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microcalc.errors import StatisticsError
from microcalc.stats.auc import DeLong, why_no_variance
from microcalc.stats.comparison import same_ranks
from microcalc.stats.distributions import normal_cdf, two_sided_quantile
from microcalc.stats.inputs import FloatArray, checked_names

__all__ = ["MEAN_OF_READERS", "NonInferiority", "non_inferiority"]

MEAN_OF_READERS = "mean of readers"
"""Stands for the average of the readers' areas."""


@dataclass(frozen=True)
class NonInferiority:
    """A model against a reader, or against the average of the readers.

    Attributes:
        model, reader: names.
        difference, standard_error, low, high: area of the model minus that of the reader, two-sided limits.
        margin: the largest deficit that would not matter.
        z, p: one-sided test that the model is worse by the margin or more.
        non_inferior: the lower limit lies above minus the margin; None where there is no limit.
        superior: the lower limit lies above 0; None where there is no limit.
        reason: why something is NaN.
    """

    model: str
    reader: str
    difference: float
    standard_error: float
    low: float
    high: float
    margin: float
    z: float
    p: float
    non_inferior: bool | None
    superior: bool | None
    reason: str = ""


def non_inferiority(
    result: DeLong, names: Sequence[str], *, readers: Sequence[str], margin: float
) -> tuple[NonInferiority, ...]:
    """Compare every model with every reader and, of several readers, with their average.

    Args:
        result: from `delong` or `clustered_delong`.
        names: (k,) of the columns.
        readers: which of them are readers; all others are models.
        margin: in units of AUC, above 0.

    Raises:
        StatisticsError: an unknown reader, nobody on one side, or a margin that is not above 0.
    """
    columns = checked_names(names, models=result.auc.size)
    unknown = [name for name in readers if name not in columns]
    models = [name for name in columns if name not in readers]
    if unknown or not readers or not models:
        raise StatisticsError(f"readers must be some of the columns {list(columns)}, but not all; {list(readers)} came")
    if not 0 < margin < 1:
        raise StatisticsError(f"a margin must lie between 0 and 1, such as 0.05; {margin} came")
    averaged = [(MEAN_OF_READERS, tuple(readers))] if len(readers) > 1 else []
    opponents = [(name, (name,)) for name in readers] + averaged
    return tuple(_compare(result, columns, model, reader, margin) for model in models for reader in opponents)


def _compare(
    result: DeLong, columns: tuple[str, ...], model: str, reader: tuple[str, tuple[str, ...]], margin: float
) -> NonInferiority:
    contrast = np.zeros(len(columns))
    contrast[columns.index(model)] = 1
    for name in reader[1]:
        contrast[columns.index(name)] -= 1 / len(reader[1])
    difference, variance = float(contrast @ result.auc), _variance(result, contrast)
    reason = why_no_variance({columns[i]: float(result.auc[i]) for i in np.flatnonzero(contrast)})
    nan = float("nan")
    if difference == 0 and variance == 0:
        same = f"both {same_ranks(result.clusters)}"
        return NonInferiority(model, reader[0], 0.0, 0.0, 0.0, 0.0, margin, nan, nan, True, False, same)
    if reason or not variance > 0:
        reason = reason or "the difference has no positive variance"
        return NonInferiority(model, reader[0], difference, nan, nan, nan, margin, nan, nan, None, None, reason)
    error = float(np.sqrt(variance))
    half = two_sided_quantile(result.confidence) * error
    z = (difference + margin) / error
    low, high = difference - half, difference + half
    return NonInferiority(
        model, reader[0], difference, error, low, high, margin, z, normal_cdf(-z), low > -margin, low > 0
    )


def _variance(result: DeLong, contrast: FloatArray) -> float:
    used = np.flatnonzero(contrast)
    if used.size == 2:
        return float(result.difference_variance[used[0], used[1]])
    return float(contrast @ result.covariance @ contrast)
