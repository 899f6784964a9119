"""The predictions table, the hinge between networks and statistics: one row per run, model and image.

Everything that computes scores writes it; everything that judges scores reads it and nothing else. Here it is read,
checked, written, and turned into the arrays that the statistics take. No statistics, no networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microcalc.errors import TableError
from microcalc.vocabulary import Split

__all__ = ["COLUMNS", "ScoreTable", "read_predictions", "score_table", "validate_predictions", "write_predictions"]

COLUMNS = ("run", "model", "image_id", "patient_id", "lesion_id", "split", "label", "score")
"""Columns of the long table, in order."""

_KEY = ["run", "model", "image_id"]
_TEXTS = ["run", "model", "image_id", "patient_id", "lesion_id", "split"]


@dataclass(frozen=True)
class ScoreTable:
    """The scores of several models on the same images, as arrays.

    Attributes:
        models: names of the k models.
        images: n rows with ``image_id, patient_id, lesion_id, split``, in the order of the arrays.
        y_true: (n,) 0 benign, 1 malignant.
        scores: (n, k) float64, larger means more suspicious.
    """

    models: tuple[str, ...]
    images: pd.DataFrame
    y_true: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def patients(self) -> NDArray[np.object_]:
        """(n,) patient of each image."""
        return self.images["patient_id"].to_numpy(dtype=object)


def validate_predictions(table: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """Typed copy of a long predictions table.

    Args:
        table: has the columns ``COLUMNS``; ``lesion_id`` may be absent or empty.
        source: name of the file, for error messages.

    Raises:
        TableError: a column is missing, a label is not 0 or 1, a split is unknown, a score is not a finite number, or
            a model scores an image twice.
    """
    missing = [c for c in COLUMNS if c not in table.columns and c != "lesion_id"]
    if missing:
        raise TableError(f"{source}: a predictions table needs the columns {list(COLUMNS)}; {missing} are missing")
    out = table.reindex(columns=list(COLUMNS))
    for column in _TEXTS:
        out[column] = out[column].astype(object).where(out[column].notna(), "").astype(str)
    _refuse(
        ~out["split"].isin([s.value for s in Split]), out["split"], source, "split must be train, validation or test"
    )
    label = pd.to_numeric(out["label"], errors="coerce")
    _refuse(~label.isin([0, 1]), out["label"], source, "label must be 0 (benign) or 1 (malignant)")
    score = pd.to_numeric(out["score"], errors="coerce").astype(float)
    _refuse(~score.apply(np.isfinite), out["score"], source, "score must be a finite number")
    _refuse(out.duplicated(_KEY), out["image_id"], source, "a model may score an image once per run")
    for column in ("image_id", "patient_id", "model"):
        _refuse(out[column] == "", out[column], source, f"{column} must not be empty")
    return out.assign(label=label.astype(np.int64), score=score).reset_index(drop=True)


def _refuse(bad: "pd.Series[bool]", values: pd.Series, source: str, rule: str) -> None:
    """Refuse the first bad row by its line: the index counts the rows of the file from 0, also of a part of them."""
    if bad.any():
        rows = list(dict.fromkeys(bad.index[bad]))
        found = values.iloc[int(np.flatnonzero(bad.to_numpy())[0])]
        more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
        line = rows[0] + 2 if isinstance(rows[0], int) else rows[0]
        raise TableError(f"{source}, line {line}: {rule}; found {found}{more}")


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check a long predictions table (CSV).

    Raises:
        TableError: the file cannot be read, or breaks the contract (see `validate_predictions`).
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False, na_values={"score": [""]})
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise TableError(f"{path}: a predictions table must be a readable CSV file; {error}") from error
    return validate_predictions(table, source=str(path))


def write_predictions(table: pd.DataFrame, path: Path) -> None:
    """Write the table under a temporary name, then rename; scores with all their digits."""
    checked = validate_predictions(table, source=str(path))
    temporary = path.with_name(f".{path.name}.partial")
    try:
        checked.to_csv(temporary, index=False, lineterminator="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def score_table(
    predictions: pd.DataFrame, *, run: str, split: str = Split.TEST, models: Sequence[str] | None = None
) -> ScoreTable:
    """Scores of one run on one set, one column per model, every model on the same images.

    Args:
        predictions: checked long table.
        run: which run.
        split: which set.
        models: which models and in which order; default all, in order of appearance.

    Raises:
        TableError: no such rows, a model lacks images that another has, or an image has two labels or patients.
    """
    rows = predictions[(predictions["run"] == run) & (predictions["split"] == split)]
    names = tuple(models) if models is not None else tuple(dict.fromkeys(rows["model"]))
    rows = rows[rows["model"].isin(names)]
    if rows.empty:
        raise TableError(f"the predictions hold no scores of run {run!r} on the {split} set")
    facts = rows[["image_id", "patient_id", "lesion_id", "split", "label"]].drop_duplicates()
    twice = facts.loc[facts["image_id"].duplicated(), "image_id"]
    if not twice.empty:
        raise TableError(f"an image must have one label, patient and lesion; {list(twice[:5])} differ between models")
    wide = rows.pivot(index="image_id", columns="model", values="score").reindex(index=facts["image_id"])  # noqa: PD010
    for name in names:
        lacking = list(wide.index) if name not in wide else list(wide.index[wide[name].isna()])
        if lacking:
            raise TableError(f"every model must score every image; {name} lacks {len(lacking)}: {lacking[:5]}")
    facts = facts.reset_index(drop=True)
    return ScoreTable(
        models=names,
        images=facts.drop(columns="label"),
        y_true=facts["label"].to_numpy(dtype=np.int64),
        scores=wide[list(names)].to_numpy(dtype=np.float64),
    )
