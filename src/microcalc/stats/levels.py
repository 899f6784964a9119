"""From images to lesions, breasts and patients: the scores of a unit's images become one score.

A unit is malignant if any of its images is. Every statistic of this folder then applies to units as it does to images.
"""

from collections.abc import Collection
from enum import StrEnum

import numpy as np
import pandas as pd

from microcalc.errors import StatisticsError
from microcalc.predictions import ScoreTable
from microcalc.stats.inputs import FloatArray, IntArray

__all__ = ["Aggregation", "Level", "aggregate", "units_with_both_labels", "why_no_level"]


class Level(StrEnum):
    """What counts as one case."""

    IMAGE = "image"
    LESION = "lesion"
    BREAST = "breast"
    PATIENT = "patient"


class Aggregation(StrEnum):
    """How the scores of a unit's images become one."""

    MEAN = "mean"
    MAXIMUM = "maximum"


_COLUMN = {Level.LESION: "lesion_id", Level.BREAST: "laterality"}


def why_no_level(table: ScoreTable, level: Level) -> str:
    """Say why a table cannot be judged at a level; empty if it can."""
    column = _COLUMN.get(level)
    if column is None:
        return ""
    if column not in table.images or (table.images[column] == "").all():
        return f"the table has no {column}"
    empty = int((table.images[column] == "").sum())
    return f"{empty} of {len(table.images)} images have no {column}" if empty else ""


def aggregate(
    table: ScoreTable, level: Level, how: Aggregation = Aggregation.MEAN, *, ordinal: Collection[str] = ()
) -> ScoreTable:
    """Join the images of each unit.

    Args:
        table: scores of images; ``images`` needs ``lesion_id`` for lesions, ``laterality`` for breasts.
        level: the unit. Lesions and breasts are those of one patient, so equal names in two patients stay apart.
        how: mean or maximum of each model's scores over the unit's images.
        ordinal: models whose scores are categories in order (BI-RADS): their maximum is taken, for a mean would count
            with the numbers that stand for the categories.

    Returns:
        One row per unit in order of appearance; ``image_id`` names the unit, ``unit_images`` counts its images.

    Raises:
        StatisticsError: the table lacks what the level needs.
    """
    reason = why_no_level(table, level)
    if reason:
        raise StatisticsError(f"scores cannot be joined by {level}: {reason}")
    if level == Level.IMAGE:
        return table
    names = _unit_names(table, level)
    codes, units = pd.factorize(names)
    count = np.bincount(codes)
    label = np.zeros(units.size, dtype=np.int64)
    np.maximum.at(label, codes, table.y_true)
    scores = np.column_stack(
        [
            _highest(codes, column, units.size)
            if how == Aggregation.MAXIMUM or model in ordinal
            else _mean(codes, column, count)
            for model, column in zip(table.models, table.scores.T, strict=True)
        ]
    )
    first = np.zeros(units.size, dtype=np.int64)
    first[codes[::-1]] = np.arange(codes.size)[::-1]
    images = table.images.iloc[first].reset_index(drop=True)
    return ScoreTable(table.models, images.assign(image_id=units, unit_images=count), label, scores)


def _highest(codes: IntArray, score: FloatArray, units: int) -> FloatArray:
    out = np.full(units, -np.inf)
    np.maximum.at(out, codes, score)
    return out


def _mean(codes: IntArray, score: FloatArray, count: IntArray) -> FloatArray:
    """Means of the units, summed from the lowest score up, so that the order of the rows breaks no tie."""
    order = np.lexsort((score, codes))
    return np.asarray(np.bincount(codes[order], weights=score[order]) / count, dtype=np.float64)


def units_with_both_labels(table: ScoreTable, level: Level) -> int:
    """Count the units that have malignant and benign images; they count as malignant."""
    codes, units = pd.factorize(_unit_names(table, level))
    malignant = np.bincount(codes, weights=table.y_true, minlength=units.size)
    return int(((malignant > 0) & (malignant < np.bincount(codes, minlength=units.size))).sum())


def _unit_names(table: ScoreTable, level: Level) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    patient = table.images["patient_id"]
    if level == Level.IMAGE:
        return table.images["image_id"].to_numpy(dtype=object)
    column = _COLUMN.get(level)
    names = patient if column is None else patient + " / " + table.images[column]
    return names.to_numpy(dtype=object)
