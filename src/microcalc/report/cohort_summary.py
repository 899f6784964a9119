"""The cohort as a report tells it: flow of images and patients, sets, characteristics, and whether it is synthetic.

Holds the data classes of that part and fills them from a cohort's table and its record ``cohort.json``. Columns that
are missing or empty are left out, never guessed. Nothing is drawn here.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from microcalc.cohort.splits import patients_of_the_test_outside, patients_on_two_sides
from microcalc.stats.subgroups import CONTACT_UP_TO
from microcalc.vocabulary import BENIGN, MALIGNANT, CalcDistribution, CalcMorphology, Pathology, Split, View

__all__ = [
    "Characteristic",
    "CohortFlow",
    "CohortSummary",
    "Exclusion",
    "SetCounts",
    "SyntheticNotice",
    "cohort_flow",
    "cohort_summary",
    "set_counts",
    "synthetic_notice",
]

_NAN = float("nan")

_SET_TITLES = {Split.TRAIN: "Training", Split.VALIDATION: "Validation", Split.TEST: "Test"}

_SPLIT_WORDS = {
    "date": "Split by date: the latest exams are the test set",
    "patient": "Split by patient, at random, stratified by class",
    "table": "Split as given in the table",
}

TEST_SET_WORDS = {"date": "by date", "patient": "by patient", "table": "as given in the table"}
"""Where the test set of a split by image came from."""

_CHARACTERISTICS = (
    ("pathology", "Histopathology"),
    ("view", "View"),
    ("magnification", "Magnification"),
    ("laterality", "Side"),
    ("birads", "BI-RADS category"),
    ("morphology", "Morphology"),
    ("distribution", "Distribution"),
    ("site", "Site"),
    ("manufacturer", "Manufacturer"),
)
"""Columns of the cohort and their headings."""

_WORDS = {"high_risk": "high-risk lesion", "dcis": "DCIS", "invasive": "invasive cancer"}
"""Values that people write otherwise than the cohort."""

_ORDER = [str(w) for words in (Pathology, View, CalcMorphology, CalcDistribution) for w in words]

SHIFTED_FROM = "2100"
"""Exams of this year and later have dates that were shifted to hide the true ones."""

_MOST_VALUES = 12
"""Values of one column that are told one by one; the rarer ones are summed."""


@dataclass(frozen=True)
class SetCounts:
    """Who is in one set.

    Attributes:
        name: ``Training``, ``Validation``, ``Test``, or of the whole.
        images: ROI images.
        patients: persons; 0 if unknown.
        benign: images with label 0.
        malignant: images with label 1.
        dates: span of the exams in words, empty where dates are missing.
    """

    name: str
    images: int
    patients: int
    benign: int
    malignant: int
    dates: str = ""


@dataclass(frozen=True)
class Exclusion:
    """How many images a rule left out.

    Attributes:
        code: of the verdict, for instance ``wrong_size``.
        reason: the same in words.
        count: images.
        patients: persons; 0 if unknown.
    """

    code: str
    reason: str
    count: int
    patients: int = 0


@dataclass(frozen=True)
class CohortFlow:
    """From the sources to the sets: what the STARD flow diagram shows.

    Attributes:
        sources: where the images came from, in words.
        assessed: images that were looked at.
        exclusions: what was left out and why, in the order of the rules where the cohort states it.
        included: all images of the cohort.
        sets: training, validation, test, as far as there are any.
        split: how they were divided, a few words.
        assessed_patients: persons that the images assessed are of; 0 if unknown.
    """

    sources: tuple[str, ...]
    assessed: int
    exclusions: tuple[Exclusion, ...]
    included: SetCounts
    sets: tuple[SetCounts, ...] = ()
    split: str = ""
    assessed_patients: int = 0


@dataclass(frozen=True)
class Characteristic:
    """One block of the table of characteristics.

    Attributes:
        name: for instance ``View``.
        rows: value and its number of images in each set of the flow, in that order.
    """

    name: str
    rows: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class CohortSummary:
    """The cohort as the report tells it.

    Attributes:
        flow: the flow diagram's numbers.
        split_method: how the sets were made, one or two sentences.
        warnings: of the split and of the audit, each a sentence.
        characteristics: views, pathology, BI-RADS and so on, as far as the table holds them.
        credits: sources that must be named wherever their images go, each a sentence.
    """

    flow: CohortFlow
    split_method: str = ""
    warnings: tuple[str, ...] = ()
    characteristics: tuple[Characteristic, ...] = ()
    credits: tuple[str, ...] = ()


@dataclass(frozen=True)
class SyntheticNotice:
    """That the images are phantoms, and the best that anybody could reach on them.

    Attributes:
        best_auc: AUC of the model that drew the labels; NaN if the cohort does not say.
        best_auc_standard_error: of its Monte Carlo estimate; NaN if unknown.
        details: more about how the phantoms were made, each a sentence.
    """

    best_auc: float = _NAN
    best_auc_standard_error: float = _NAN
    details: tuple[str, ...] = ()


def cohort_summary(
    table: pd.DataFrame,
    record: Mapping[str, object],
    *,
    split: pd.Series,
    by: str,
    test_by: str = "",
    warnings: Sequence[str] = (),
) -> CohortSummary:
    """Everything that the report says of a cohort.

    Args:
        table: of the cohort, checked, one row per image.
        record: content of ``cohort.json``; its verdicts tell what was left out.
        split: value of `Split` for each row of ``table``, on the same index.
        by: how the split was made: ``date``, ``patient``, ``image`` or ``table``.
        test_by: how the test set of a split by image was made: ``date``, ``patient`` or ``table``; empty if unknown.
        warnings: of the split and of the audit.
    """
    return CohortSummary(
        flow=cohort_flow(table, record, split=split, by=by, test_by=test_by),
        split_method=_split_words(table, split, by, test_by) + ".",
        warnings=tuple(warnings),
        characteristics=_characteristics(table, split),
        credits=_credits(record),
    )


def cohort_flow(
    table: pd.DataFrame, record: Mapping[str, object], *, split: pd.Series, by: str = "", test_by: str = ""
) -> CohortFlow:
    """Count who came, who was left out by which verdict, and who went into which set; arguments as `cohort_summary`."""
    exclusions = _exclusions(record)
    present = [s for s in Split if bool((split == s.value).any())]
    return CohortFlow(
        sources=_sources(record),
        assessed=len(table) + sum(e.count for e in exclusions),
        exclusions=exclusions,
        included=set_counts(table, "Cohort"),
        sets=tuple(set_counts(table[split == s.value], _SET_TITLES[s]) for s in present),
        split=_split_words(table, split, by, test_by),
        assessed_patients=_whole(_mapping(_mapping(record.get("flow")).get("assessed")).get("patients")),
    )


def _split_words(table: pd.DataFrame, split: pd.Series, by: str, test_by: str) -> str:
    """How the sets were made; by image, also how many patients came to stand on two sides."""
    if by != "image":
        return _SPLIT_WORDS.get(by, by)
    made = f"Split by image, the test set {TEST_SET_WORDS[test_by]}" if test_by else "Split by image"
    shared = len(patients_on_two_sides(table["patient_id"], split))
    if not shared:
        return f"{made}: no patient stands in more than one set"
    tested = len(patients_of_the_test_outside(table["patient_id"], split)) or "none"
    who = f"{shared} of {table['patient_id'].nunique()} patients {'stands' if shared == 1 else 'stand'}"
    return f"{made}: {who} in more than one set, {tested} in the test set"


def set_counts(table: pd.DataFrame, name: str) -> SetCounts:
    """Count images, patients and classes of some rows of a cohort's table."""
    return SetCounts(
        name=name,
        images=len(table),
        patients=int(table["patient_id"].nunique()),
        benign=int((table["label"] == BENIGN).sum()),
        malignant=int((table["label"] == MALIGNANT).sum()),
        dates=_span(table),
    )


def synthetic_notice(record: Mapping[str, object]) -> SyntheticNotice | None:
    """The notice for phantoms, or None where ``cohort.json`` does not say ``"synthetic": true``."""
    if record.get("synthetic") is not True:
        return None
    phantom = record.get("phantom")
    facts = phantom if isinstance(phantom, Mapping) else {}
    return SyntheticNotice(
        best_auc=_number(facts.get("best_auc")),
        best_auc_standard_error=_number(facts.get("best_auc_standard_error")),
        details=tuple(_phantom_details(facts)),
    )


def _phantom_details(facts: Mapping[str, object]) -> Iterator[str]:
    tissue = facts.get("tissue_details")
    kind = tissue.get("kind") if isinstance(tissue, Mapping) else facts.get("tissue")
    if kind:
        yield f"Tissue: {kind}."
    here = _number(facts.get("best_auc_of_these_lesions"))
    if math.isfinite(here):
        yield f"Best possible AUC on the very lesions of this cohort: {here:.3f}."
    if isinstance(facts.get("seed"), int):
        yield f"Seed: {facts['seed']}."


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else _NAN


def _exclusions(record: Mapping[str, object]) -> tuple[Exclusion, ...]:
    """What was left out: as the cohort's own flow has it, else the refused verdicts by code, the commonest first."""
    steps = _mapping(record.get("flow")).get("left_out")
    if isinstance(steps, Sequence) and not isinstance(steps, str):
        known = [_mapping(step) for step in steps]
        return tuple(
            Exclusion(
                str(step.get("code")), str(step.get("reason")), _whole(step.get("images")), _whole(step.get("patients"))
            )
            for step in known
        )
    # In the words of the code, for messages name single files.
    verdicts = record.get("verdicts")
    refused: Counter[str] = Counter()
    for verdict in verdicts if isinstance(verdicts, Sequence) else ():
        if isinstance(verdict, Mapping) and verdict.get("accepted") is not True:
            refused[str(verdict.get("code") or "unknown")] += 1
    ordered = sorted(refused.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Exclusion(code, code.replace("_", " ").replace("-", " "), count) for code, count in ordered)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _sources(record: Mapping[str, object]) -> tuple[str, ...]:
    """Names of the sources: what each calls itself, not where it lay."""
    sources = record.get("sources")
    names = []
    for source in sources if isinstance(sources, Sequence) else ():
        if isinstance(source, Mapping):
            name = next((str(source[key]) for key in ("title", "name", "kind", "type") if source.get(key)), "")
            names += [name] if name else []
    return tuple(dict.fromkeys(names))


def _credits(record: Mapping[str, object]) -> tuple[str, ...]:
    """What the licences of the sources ask to be said: title, authors, article, licence, changes."""
    sources = record.get("sources")
    sentences = []
    for source in sources if isinstance(sources, Sequence) else ():
        if isinstance(source, Mapping) and (source.get("license") or source.get("doi")):
            said = [str(source[key]) for key in ("title", "authors", "article") if source.get(key)]
            said += [f"doi {source['doi']}"] if source.get("doi") else []
            said += [f"licence {source['license']}"] if source.get("license") else []
            said += [f"changes: {source['changes']}"] if source.get("changes") else []
            sentences.append("; ".join(said) + ".")
    return tuple(sentences)


def _span(table: pd.DataFrame) -> str:
    """First and last month of the exams; empty where no row has a date, or where they were shifted."""
    if "exam_date" not in table:
        return ""
    months = sorted(text[:7] for text in table["exam_date"].astype(str) if len(text) >= 7 and text[:4].isdigit())
    if not months:
        return ""
    if months[0] >= SHIFTED_FROM:
        return "dates shifted"
    return months[0] if months[0] == months[-1] else f"{months[0]} to {months[-1]}"


def _characteristics(table: pd.DataFrame, split: pd.Series) -> tuple[Characteristic, ...]:
    sets = [split == s.value for s in Split if bool((split == s.value).any())]
    blocks = []
    for column, title in _CHARACTERISTICS:
        if column not in table:
            continue
        values = table[column].map(_magnified if column == "magnification" else _text)
        if not (values != "").any():
            continue
        counts = values.value_counts()
        common = sorted(counts.index[:_MOST_VALUES], key=_place)
        rows = [(_spelled(value), tuple(int((values[rows] == value).sum()) for rows in sets)) for value in common]
        rare = counts.index[_MOST_VALUES:]
        if len(rare):
            rows.append((f"{len(rare)} others", tuple(int(values[rows].isin(rare).sum()) for rows in sets)))
        blocks.append(Characteristic(title, tuple(rows)))
    return tuple(blocks)


def _text(value: object) -> str:
    """A cell as text: empty for missing, no trailing .0."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _magnified(value: object) -> str:
    """A factor of magnification in words: every view has its own, so the numbers themselves make no table."""
    if not isinstance(value, int | float) or math.isnan(value):
        return ""
    return "magnified" if value > CONTACT_UP_TO else "contact"


def _place(value: str) -> tuple[int, str]:
    """The vocabulary's own order, then the alphabet; what is missing comes last."""
    if not value:
        return len(_ORDER) + 1, ""
    return (_ORDER.index(value), "") if value in _ORDER else (len(_ORDER), value)


def _spelled(value: str) -> str:
    return _WORDS.get(value, value.replace("_", " ")) or "not stated"
