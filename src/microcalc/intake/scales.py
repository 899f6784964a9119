"""Scores as people write them: numbers, BI-RADS categories in order, and calls in words.

Each word becomes a number that keeps the order, and the words are kept for printing cut-offs. Nothing else is guessed.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microcalc.errors import TableError

__all__ = ["BI_RADS", "CALLS", "ReadScores", "read_scores"]

BI_RADS: Mapping[str, float] = {"1": 1.0, "2": 2.0, "3": 3.0, "4": 4.0, "4A": 4.1, "4B": 4.2, "4C": 4.3, "5": 5.0}
"""ACR BI-RADS assessment categories in the order of rising suspicion, as numbers that keep it. Categories 0
(incomplete) and 6 (proven cancer) are no degrees of suspicion; beside words they are refused."""

CALLS: Mapping[str, float] = {
    "benign": 0.0, "malignant": 1.0,
    "negative": 0.0, "positive": 1.0,
    "no": 0.0, "yes": 1.0,
    "false": 0.0, "true": 1.0,
}  # fmt: skip
"""Calls in words."""

_PREFIX = re.compile(r"^(bi-?rads|category|cat\.?)[\s:_-]*", re.IGNORECASE)
_MISSING = ("", "na", "n/a", "nan")


@dataclass(frozen=True)
class ReadScores:
    """Scores of one model: (n,) numbers, NaN where there is none, and the word of each number if they were words."""

    values: NDArray[np.float64]
    words: Mapping[float, str]


def read_scores(texts: "pd.Series[str]", *, source: str) -> ReadScores:
    """Read the scores of one model.

    Args:
        texts: (n,) as written; empty, ``NA`` and ``NaN`` are missing. Numbers, or else BI-RADS categories, or calls.
        source: file and column, for messages.

    Raises:
        TableError: a word that is neither; BI-RADS 4 beside 4A, 4B or 4C; BI-RADS 0 or 6 among categories in words.

    >>> read_scores(pd.Series(["3", "BI-RADS 4a", "5"]), source="x").values.tolist()
    [3.0, 4.1, 5.0]
    """
    cells = [str(text).strip() for text in texts]
    there = [cell for cell in cells if cell.casefold() not in _MISSING]
    for parse in (_numbers, _categories, _calls):
        known = parse(there, source)
        if known is not None:
            values = np.array([known.get(cell, (math.nan, ""))[0] for cell in cells])
            return ReadScores(values, {number: word for number, word in known.values() if word})
    bad = next(c for c in there if _number(c) is None and _category(c) not in BI_RADS and c.casefold() not in CALLS)
    line = int(texts.index[cells.index(bad)]) + 2
    raise TableError(
        f"{source}, line {line}: scores must be numbers, BI-RADS categories ({', '.join(BI_RADS)}) or calls"
        f" ({', '.join(CALLS)}), and of one kind in a column; found {bad!r}"
    )


def _numbers(cells: list[str], _source: str) -> dict[str, tuple[float, str]] | None:
    values = {cell: _number(cell) for cell in set(cells)}
    if any(value is None for value in values.values()):
        return None
    return {cell: (value, "") for cell, value in values.items() if value is not None}


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _categories(cells: list[str], source: str) -> dict[str, tuple[float, str]] | None:
    found = {cell: _category(cell) for cell in set(cells)}
    degrees = set(found.values())
    if not degrees <= set(BI_RADS) | {"0", "6"}:
        return None
    no_degree = sorted(degrees - set(BI_RADS))
    if no_degree:
        raise TableError(
            f"{source}: BI-RADS {', '.join(no_degree)} is no degree of suspicion (0: incomplete, 6: proven cancer);"
            " leave those images out or empty"
        )
    if "4" in degrees and degrees & {"4A", "4B", "4C"}:
        raise TableError(f"{source}: BI-RADS 4 cannot be put in order with 4A, 4B and 4C; use one or the other")
    return {cell: (BI_RADS[category], category) for cell, category in found.items()}


def _category(cell: str) -> str:
    return _PREFIX.sub("", cell).strip().upper()


def _calls(cells: list[str], _source: str) -> dict[str, tuple[float, str]] | None:
    if not all(cell.casefold() in CALLS for cell in cells):
        return None
    return {cell: (CALLS[cell.casefold()], cell.casefold()) for cell in cells}
