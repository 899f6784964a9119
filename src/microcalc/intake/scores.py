"""Intake of a table of scores, whoever made them: networks, other models, human readers.

Long tables have one row per run, model and image (`microcalc.predictions`); wide ones have one row per image and one
column per model. What comes out is the same: a checked long table, what else is known of the images, and the words of
ordinal scales. What scores mean in words is in `microcalc.intake.scales`; no statistics here.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from microcalc.cohort.cells import is_unnamed
from microcalc.errors import TableError
from microcalc.intake.scales import read_scores
from microcalc.intake.sheets import read_sheet
from microcalc.predictions import ScoreTable, score_table, validate_predictions
from microcalc.vocabulary import Split

__all__ = ["FACTS", "ScoreColumns", "ScoreFile", "read_facts", "read_score_file", "test_and_validation"]

FACTS = (
    "lesion_id", "laterality", "view", "magnification", "site", "manufacturer", "morphology", "distribution", "birads",
    "pathology", "exam_date", "pixel_spacing_mm", "source_uid", "roi_row", "roi_col", "padded",
)  # fmt: skip
"""Columns that say something about an image; in a wide table every other column is a model."""


@dataclass(frozen=True)
class ScoreColumns:
    """Which column is what; None: the name that the contract has, where the table has it.

    Attributes:
        label: 0 benign, 1 malignant; must be there.
        patient: without it every image counts as a patient of its own, and the notes say so.
        image: without it rows are numbered.
        models: of a wide table; default every column that is nothing else.
        others: columns of a wide table that are no models, beyond `FACTS` (subgroups, for instance).
        run: name of the run of a wide table; default the file's name.
    """

    label: str | None = None
    patient: str | None = None
    image: str | None = None
    models: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    run: str | None = None


@dataclass(frozen=True)
class ScoreFile:
    """A table of scores that was read.

    Attributes:
        predictions: checked long table.
        facts: ``image_id`` and whatever else is known of the images, as text; one row per image.
        scales: for each model whose scores are words, the word of each number.
        notes: what was supplied, dropped or understood, in sentences.
        without_names: for each note that names patients the same one without their names.
    """

    predictions: pd.DataFrame
    facts: pd.DataFrame
    scales: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    without_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes_to_publish(self) -> tuple[str, ...]:
        """The notes for files that are given away: no patient is named."""
        return tuple(self.without_names.get(note, note) for note in self.notes)

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs, in order of appearance."""
        return tuple(dict.fromkeys(self.predictions["run"]))


def read_score_file(
    path: Path, columns: ScoreColumns | None = None, *, complete_cases: bool = False, sheet: str | None = None
) -> ScoreFile:
    """Read a long or wide table of scores (CSV or XLSX).

    A table with the columns ``model`` and ``score`` is long, any other is wide. Without a column ``split`` every image
    is a test image.

    Args:
        path: the file.
        columns: which column is what.
        complete_cases: drop images that a model did not score, instead of refusing them; the notes say how many.
        sheet: of a workbook; default the first.

    Raises:
        TableError: the file cannot be read, a column is missing, a label is not 0 or 1, a score is not a finite number
            nor a word that is known, or images lack scores.
    """
    named = columns or ScoreColumns()
    table = read_sheet(path, sheet=sheet)
    unnamed = [column for column in table.columns if is_unnamed(column) and column not in named.models]
    table = table.drop(columns=unnamed)
    long = {"model", "score"} <= set(table.columns)
    read = _long(table, named, str(path)) if long else _wide(table, named, path)
    if unnamed:
        note = f"What stands in {', '.join(unnamed)} has no name at its top and was passed over."
        read = replace(read, notes=(note, *read.notes))
    whole = _complete(read, str(path)) if complete_cases else _refuse_gaps(read, str(path))
    leaks = _leaks(whole.predictions)
    return replace(whole, notes=(*whole.notes, *leaks), without_names=leaks)


def _leaks(predictions: pd.DataFrame) -> dict[str, str]:
    """What must be said of patients who are in both sets; and the same without their names."""
    of = {split: set(predictions.loc[predictions["split"] == split, "patient_id"]) for split in Split}
    both = of[Split.VALIDATION] & of[Split.TEST]
    if not both:
        return {}
    patients = f"{len(both)} patient{' is' if len(both) == 1 else 's are'}"
    said = f"Warning: {patients} in the validation and in the test set"
    names = f"{', '.join(sorted(both)[:3])}{', ...' if len(both) > 3 else ''}"
    so = "Cut-offs and recalibrations learnt on validation are not independent of the test set."
    return {f"{said} ({names}). {so}": f"{said}. {so}"}


def read_facts(scores: ScoreFile, path: Path, *, sheet: str | None = None) -> ScoreFile:
    """Add what another table (a cohort's ``cohort.csv``, for instance) knows of the images, by ``image_id``.

    Raises:
        TableError: no column ``image_id``, an image twice, or images of the scores that it does not know.
    """
    table = read_sheet(path, sheet=sheet)
    if "image_id" not in table:
        raise TableError(f"{path}: a table of facts needs the column image_id; {list(table.columns)} came")
    twice = table.loc[table["image_id"].duplicated(), "image_id"]
    if not twice.empty:
        raise TableError(f"{path}: an image may stand in a table of facts once; {twice.iloc[0]!r} is there again")
    unknown = scores.facts.loc[~scores.facts["image_id"].isin(table["image_id"]), "image_id"]
    if not unknown.empty:
        raise TableError(f"{path}: {len(unknown)} images of the scores are not in it: {list(unknown[:5])}")
    known = [c for c in scores.facts.columns if c == "image_id" or c not in table]
    merged = scores.facts[known].merge(table, on="image_id", how="left", validate="one_to_one")
    return replace(scores, facts=_with_year(merged))


def test_and_validation(scores: ScoreFile, run: str) -> tuple[ScoreTable, ScoreTable | None]:
    """The two sets of one run as arrays, with the facts of their images; no validation set is None.

    Raises:
        TableError: see `microcalc.predictions.score_table`; or the two sets have other models.
    """
    rows = scores.predictions[scores.predictions["run"] == run]
    models = tuple(dict.fromkeys(rows.loc[rows["split"] == Split.TEST, "model"]))
    test = _with_facts(score_table(rows, run=run, split=Split.TEST, models=models or None), scores.facts)
    if not (rows["split"] == Split.VALIDATION).any():
        return test, None
    return test, _with_facts(score_table(rows, run=run, split=Split.VALIDATION, models=models), scores.facts)


test_and_validation.__test__ = False  # type: ignore[attr-defined]  # pytest takes the name for a test


def _with_facts(table: ScoreTable, facts: pd.DataFrame) -> ScoreTable:
    extra = [c for c in facts.columns if c not in ("image_id", "patient_id", "lesion_id", "split")]
    images = table.images.merge(facts[["image_id", *extra]], on="image_id", how="left", validate="one_to_one")
    return replace(table, images=images)


def _long(table: pd.DataFrame, named: ScoreColumns, source: str) -> ScoreFile:
    spelled = {"label": named.label, "patient_id": named.patient, "image_id": named.image}
    table = _renamed(table, {own: given for own, given in spelled.items() if given}, source)
    notes = []
    for column, value in (("run", named.run or "run"), ("split", Split.TEST)):
        if column not in table:
            table = table.assign(**{column: str(value)})
    table, note = _with_patients(table)
    notes += note
    scores, scales = table["score"].astype(object), {}
    for model in dict.fromkeys(table["model"]):
        rows = (table["model"] == model).to_numpy()
        read = read_scores(table.loc[rows, "score"], source=f"{source}, model {model}")
        scores[rows] = read.values
        if read.words:
            scales[str(model)] = read.words
    checked = table.assign(score=scores.astype(float), label=_labels(table, "label", source))
    gaps = checked["score"].isna()
    _refuse_infinite(checked, source)
    predictions = validate_predictions(checked[~gaps], source=source)
    facts = checked.drop(columns=["run", "model", "score", "label"]).drop_duplicates("image_id")
    return ScoreFile(predictions, _with_year(facts.reset_index(drop=True)), scales, tuple(notes))


def _wide(table: pd.DataFrame, named: ScoreColumns, path: Path) -> ScoreFile:
    source, notes = str(path), list[str]()
    spelled = {"label": named.label, "patient_id": named.patient, "image_id": named.image}
    table = _renamed(table, {own: given for own, given in spelled.items() if given}, source)
    if "label" not in table:
        raise TableError(
            f"{source}: a table of scores needs a column with the labels (0 benign, 1 malignant); name it with --label."
            f" The columns are {list(table.columns)}"
        )
    if "image_id" not in table:
        table = table.assign(image_id=[f"row {row + 2}" for row in table.index])
        notes.append("The table names no images; they are called after their lines.")
    table, note = _with_patients(table)
    notes += note
    twice = table.loc[table["image_id"].duplicated(), "image_id"]
    if not twice.empty:
        line = int(twice.index[0]) + 2
        raise TableError(f"{source}, line {line}: an image may have one row; {twice.iloc[0]!r} is there again")
    models = _model_columns(table, named, source)
    if "split" not in table:
        table = table.assign(split=str(Split.TEST))
    labels, scales, parts = _labels(table, "label", source), {}, []
    for model in models:
        try:
            read = read_scores(table[model], source=f"{source}, column {model}")
        except TableError as error:
            raise TableError(f"{error}. If {model} is no model, name the models with --models") from error
        if read.words:
            scales[model] = read.words
        parts.append(table[["image_id", "patient_id", "split"]].assign(model=model, score=read.values, label=labels))
    long = pd.concat(parts).assign(run=named.run or path.stem)
    lesion = table["lesion_id"] if "lesion_id" in table else pd.Series("", index=table.index)
    long["lesion_id"] = np.tile(lesion.to_numpy(dtype=object), len(models))
    _refuse_infinite(long, source)
    predictions = validate_predictions(long[long["score"].notna()], source=source)
    facts = table.drop(columns=[*models, "label"])
    return ScoreFile(predictions, _with_year(facts), scales, tuple(notes))


def _renamed(table: pd.DataFrame, spelled: Mapping[str, str], source: str) -> pd.DataFrame:
    missing = [name for name in spelled.values() if name not in table]
    if missing:
        raise TableError(f"{source}: there is no column {missing[0]!r}; the columns are {list(table.columns)}")
    apart = table.drop(columns=[own for own, given in spelled.items() if own in table and own != given])
    return apart.rename(columns={given: own for own, given in spelled.items()})


def _with_patients(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    if "patient_id" in table:
        return table, []
    note = (
        "The table names no patients, so every image counts as a patient of its own; if patients have several images,"
        " the patient-clustered numbers are wrong. Name the column with --patient."
    )
    return table.assign(patient_id=table["image_id"]), [note]


def _model_columns(table: pd.DataFrame, named: ScoreColumns, source: str) -> list[str]:
    taken = {"label", "patient_id", "image_id", "split", "run", *FACTS, *named.others}
    models = list(named.models) or [str(c) for c in table.columns if c not in taken and c != ""]
    twice = [name for name, count in Counter(models).items() if count > 1]
    if twice:
        raise TableError(f"{source}: a model may be named once; {', '.join(twice)} stands twice in --models")
    missing = [name for name in models if name not in table]
    if missing or not models:
        raise TableError(
            f"{source}: a wide table needs one column of scores per model;"
            f" {f'there is no column {missing[0]!r}' if missing else 'none is left'} among {list(table.columns)}"
        )
    return models


def _labels(table: pd.DataFrame, column: str, source: str) -> "pd.Series[int]":
    if column not in table:
        raise TableError(f"{source}: a table of scores needs the column label; {list(table.columns)} came")
    number = pd.to_numeric(table[column], errors="coerce")
    bad = table.index[~number.isin([0, 1])]
    if len(bad):
        raise TableError(
            f"{source}, line {int(bad[0]) + 2}: label must be 0 (benign) or 1 (malignant); found"
            f" {table.loc[bad[0], column]!r} ({len(bad)} such rows in all)"
        )
    return number.astype(np.int64)


def _refuse_infinite(table: pd.DataFrame, source: str) -> None:
    bad = table[np.isinf(table["score"])]
    if bad.empty:
        return
    first, more = bad.iloc[0], f" ({len(bad)} such scores in all)" if len(bad) > 1 else ""
    which = f"that of {first['model']} for image {first['image_id']}"
    raise TableError(f"{source}: scores must be finite numbers; {which} is infinite{more}")


def _gaps(read: ScoreFile) -> dict[tuple[str, str], list[str]]:
    """Images that a model did not score although another one of its run did, or none did, by run and model."""
    out = {}
    known = read.facts["image_id"]
    for (run, model), rows in read.predictions.groupby(["run", "model"], sort=False):
        of_run = read.predictions.loc[read.predictions["run"] == run, "image_id"]
        wanted = known if len(read.runs) == 1 else pd.Series(of_run.unique())
        lacking = wanted[~wanted.isin(rows["image_id"])]
        if not lacking.empty:
            out[str(run), str(model)] = list(lacking)
    return out


def _refuse_gaps(read: ScoreFile, source: str) -> ScoreFile:
    gaps = [f"{model} lacks {len(images)}: {images[:5]}" for (_, model), images in _gaps(read).items()]
    if gaps:
        raise TableError(
            f"{source}: every model must score every image; {'; '.join(gaps)}."
            " Fill them, or drop such images for all models with --complete-cases"
        )
    return read


def _complete(read: ScoreFile, source: str) -> ScoreFile:
    dropped = sorted({image for images in _gaps(read).values() for image in images})
    if not dropped:
        return read
    kept = read.predictions[~read.predictions["image_id"].isin(dropped)]
    if kept.empty:
        raise TableError(f"{source}: no image is scored by every model, so --complete-cases leaves nothing")
    note = (
        f"{len(dropped)} of {len(read.facts)} images lack a score of at least one model and were dropped for all"
        " (complete cases)."
    )
    facts = read.facts[~read.facts["image_id"].isin(dropped)].reset_index(drop=True)
    return replace(read, predictions=kept.reset_index(drop=True), facts=facts, notes=(*read.notes, note))


def _with_year(facts: pd.DataFrame) -> pd.DataFrame:
    if "exam_date" not in facts or "year" in facts:
        return facts
    return facts.assign(year=facts["exam_date"].str.extract(r"^(\d{4})", expand=False).fillna(""))
