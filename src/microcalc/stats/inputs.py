"""The door of the statistics: labels, scores and clusters are checked here once and trusted afterwards.

Also the array names that every module of this folder uses. No statistic is computed here.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from microcalc.errors import StatisticsError

__all__ = [
    "BoolArray",
    "FloatArray",
    "IntArray",
    "checked_clusters",
    "checked_confidence",
    "checked_labels",
    "checked_names",
    "checked_scores",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def checked_labels(y_true: ArrayLike) -> BoolArray:
    """Say which images are malignant.

    Args:
        y_true: (n,) 0 benign, 1 malignant.

    Returns:
        (n,) True where malignant.

    Raises:
        StatisticsError: no image at all, not one-dimensional, or another value than 0 and 1.
    """
    labels = np.asarray(y_true)
    if labels.ndim != 1 or labels.size == 0:
        raise StatisticsError(f"labels must be a list of one label per image; the shape {labels.shape} came")
    if labels.dtype == np.bool_:
        return labels
    malignant = labels == 1
    bad = np.flatnonzero(~(malignant | (labels == 0)))
    if bad.size:
        raise StatisticsError(
            f"labels must be 0 (benign) or 1 (malignant); found {labels[bad[0]]!r} at position {bad[0]}"
            f" ({bad.size} such labels in all)"
        )
    return np.asarray(malignant, dtype=np.bool_)


def checked_scores(scores: ArrayLike, *, images: int) -> FloatArray:
    """Scores as an array of one column per model.

    Args:
        scores: (n,) or (n, k), larger means more suspicious.
        images: the n that must come.

    Returns:
        (n, k) float64.

    Raises:
        StatisticsError: another number of rows, or a score that is not a finite number.
    """
    try:
        table = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"scores must be numbers; {error}") from error
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or table.shape[0] != images or table.shape[1] == 0:
        raise StatisticsError(f"scores must have one row for each of the {images} labels; the shape {table.shape} came")
    finite = np.isfinite(table)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise StatisticsError(
            f"scores must be finite numbers; found {table[row, column]} at position {row} of column {column}"
            f" ({int((~finite).sum())} such scores in all)"
        )
    return table


def checked_clusters(clusters: ArrayLike, *, images: int) -> IntArray:
    """Number the clusters (patients) from 0 in order of appearance.

    Args:
        clusters: (n,) any names; images of one name belong together, in whatever order they come.
        images: the n that must come.

    Raises:
        StatisticsError: another number of names, or an empty name.
    """
    names = np.asarray(clusters)
    if names.shape != (images,):
        raise StatisticsError(
            f"clusters must name the patient of each of the {images} images; shape {names.shape} came"
        )
    codes, _ = pd.factorize(names)
    if (codes < 0).any():
        raise StatisticsError(f"clusters must not be empty; position {int(np.flatnonzero(codes < 0)[0])} is")
    return codes.astype(np.int64)


def checked_names(names: Sequence[str] | None, *, models: int) -> tuple[str, ...]:
    """Names of the models; without any, their numbers from 1.

    Raises:
        StatisticsError: another number of names than of columns, or a name that comes twice.
    """
    if names is None:
        return tuple(f"model {j + 1}" for j in range(models))
    if len(names) != models or len(set(names)) != models:
        raise StatisticsError(f"each of the {models} score columns needs a name of its own; {list(names)} came")
    return tuple(names)


def checked_confidence(confidence: float) -> float:
    """Return the confidence level as it came.

    Raises:
        StatisticsError: it is not between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise StatisticsError(f"the confidence level must lie between 0 and 1, such as 0.95; {confidence} came")
    return confidence
