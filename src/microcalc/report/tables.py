"""Table 1 and what stands beside it: data frames in full precision, and tables as a paper prints them.

Takes results of `stats` and computes nothing new. File names are fixed, so that others can build on them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from microcalc.report.frames import auc_frame, operating_points_frame, table1_frame, write_frame, write_text
from microcalc.report.printed import PrintedTable
from microcalc.stats.judged import Fraction
from microcalc.stats.operating_point import Measure
from microcalc.stats.proportions import Proportion
from microcalc.stats.summary import SetFacts, Table1
from microcalc.vocabulary import Split

__all__ = [
    "MODEL_TITLES",
    "interval_text",
    "intervals_printed",
    "model_title",
    "number_text",
    "p_text",
    "table1_printed",
    "write_printed",
    "write_table1",
]

MODEL_TITLES = {
    "resnet101": "ResNet-101",
    "xception": "Xception",
    "inception_v3": "Inception-v3",
    "inception_resnet_v2": "Inception-ResNet-v2",
    "densenet201": "DenseNet-201",
    "ensemble": "Ensemble",
}
"""The paper's names of its models."""

MEASURE_TITLES = {
    Measure.SENSITIVITY: "Sensitivity",
    Measure.SPECIFICITY: "Specificity",
    Measure.ACCURACY: "Accuracy",
    Measure.PPV: "PPV",
    Measure.NPV: "NPV",
}

NOT_AVAILABLE = "n/a"
"""Stands for every undefined number; the reason is in a footnote."""

_CHOICE = {
    Split.TEST: "cut-offs chosen on the test set itself, as in the paper: optimistic",
    Split.VALIDATION: "cut-offs chosen on the validation set and frozen",
}


def model_title(name: str) -> str:
    """Name of a model as the paper prints it; other models keep their own."""
    return MODEL_TITLES.get(name, name)


def p_text(p: float) -> str:
    """A p value as the paper prints it: ``<.0001``, ``0.0011``; ``n/a`` where it is undefined."""
    if not np.isfinite(p):
        return NOT_AVAILABLE
    return "<.0001" if p < 0.0001 else f"{p:.4f}"


def number_text(value: float, digits: int) -> str:
    """A number with a fixed count of decimals; ``n/a`` where it is undefined."""
    return f"{value:.{digits}f}" if np.isfinite(value) else NOT_AVAILABLE


def interval_text(estimate: float, low: float, high: float, digits: int) -> str:
    """``estimate (low–high)``; ``n/a`` for what is undefined."""
    if not np.isfinite(estimate):
        return NOT_AVAILABLE
    limits = f"{low:.{digits}f}–{high:.{digits}f}" if np.isfinite(low) and np.isfinite(high) else NOT_AVAILABLE
    return f"{estimate:.{digits}f} ({limits})"


def cutoff_text(cutoff: float) -> str:
    """The rule as the paper prints it, ``> 0.056``; small cut-offs keep two digits that count."""
    if np.isnan(cutoff):
        return NOT_AVAILABLE
    if np.isneginf(cutoff):
        return "all"
    return f"> {cutoff:.3f}" if abs(cutoff) >= 0.01 or cutoff == 0 else f"> {cutoff:.2g}"


def table1_printed(
    table: Table1, *, chosen_on: Split = Split.TEST, titles: Mapping[str, str] | None = None
) -> PrintedTable:
    """Table 1 in the paper's form: Wald limits in its two-step rounding, p values of the overall tests below.

    Args:
        table: from `microcalc.stats.table1`.
        chosen_on: which cut-offs.
        titles: names of models, where they are not the paper's.
    """
    notes = _Notes()
    rows = []
    for point in table.points_of(chosen_on):
        j = table.models.index(point.model)
        name = _title(point.model, titles)
        area = interval_text(table.auc.auc[j], table.auc.low[j], table.auc.high[j], 3)
        cells = [name, notes.of(cutoff_text(point.cutoff), point.reason), notes.of(area, table.auc.reasons[j])]
        rows.append((*cells, *(notes.of(_paper_cell(f), f.paper.reason) for f in point.fractions.values())))
    rows += [_p_row(table, chosen_on, cluster, notes) for cluster in ("image", "patient")]
    percent = f"{100 * table.confidence:g}% CI"
    columns = ("Model", "Cut-off", f"AUC ({percent})", *(f"{t} ({percent})" for t in MEASURE_TITLES.values()))
    run = f" ({table.run})" if table.run else ""
    return PrintedTable(
        title=f"Table 1. Diagnostic performance of the models{run}; {_CHOICE[chosen_on]}",
        columns=columns,
        rows=tuple(rows),
        notes=(*_who(table, chosen_on), _HOW_TABLE1, *_without_ensemble(table), *notes.sentences()),
    )


def _without_ensemble(table: Table1) -> tuple[str, ...]:
    tests = [table.auc_tests.get(("networks", cluster)) for cluster in ("image", "patient")]
    p = [p_text(test.p) for test in tests if test is not None]
    if not p:
        return ()
    return (
        f"AUC of the networks alone, without the ensemble that is made of them: p {p[0]} (images), {p[1]} (patients).",
    )


_HOW_TABLE1 = (
    "AUC: DeLong. Fractions in percent: Wald, images as independent, estimate and half-width each rounded as in the"
    " paper. p: all models equal; AUC by DeLong's chi-square, fractions by the generalised score test of the GEE, with"
    " images or patients as clusters."
)

_HOW_INTERVALS = (
    "Wilson: images as independent. Patients: AUC by Obuchowski's variance, fractions by bootstrap of patients"
    " ({replicates} replicates). Fractions in percent."
)


def intervals_printed(
    table: Table1, *, chosen_on: Split = Split.TEST, titles: Mapping[str, str] | None = None
) -> PrintedTable:
    """The table that belongs beside Table 1: counts, Wilson's limits, and limits that respect patients.

    Args:
        table: from `microcalc.stats.table1`.
        chosen_on: which cut-offs.
        titles: names of models, where they are not the paper's.
    """
    notes = _Notes()
    rows = []
    for point in table.points_of(chosen_on):
        j = table.models.index(point.model)
        plain, clustered = table.auc, table.auc_clustered
        fractions = point.fractions.values()
        rows.append((_title(point.model, titles), "", "", *(f"{f.successes}/{f.n}" for f in fractions)))
        area = interval_text(plain.auc[j], plain.low[j], plain.high[j], 3)
        wilson = (notes.of(_percent_cell(f.wilson), f.wilson.reason) for f in fractions)
        rows.append(("", "Wilson", notes.of(area, plain.reasons[j]), *wilson))
        area = interval_text(plain.auc[j], clustered.low[j], clustered.high[j], 3)
        drawn = (notes.of(_percent_cell(f.bootstrap), f.bootstrap.reason) for f in fractions)
        rows.append(("", "patients", notes.of(area, clustered.reasons[j]), *drawn))
    run = f" ({table.run})" if table.run else ""
    return PrintedTable(
        title=f"Intervals beside Table 1{run}; {_CHOICE[chosen_on]}",
        columns=("Model", "Limits", "AUC", *MEASURE_TITLES.values()),
        rows=tuple(rows),
        notes=(*_who(table, chosen_on), _HOW_INTERVALS.format(replicates=table.replicates), *notes.sentences()),
    )


def write_table1(tables: Sequence[Table1], folder: Path, *, titles: Mapping[str, str] | None = None) -> list[Path]:
    """Write Table 1 of every run: ``table1.csv``, ``auc.csv``, ``operating_points.csv``, ``table1.md``, ``table1.tex``.

    Args:
        tables: one per run.
        folder: is made if it is not there; each file is written under a temporary name first.
        titles: names of models, where they are not the paper's.

    Returns:
        The files.
    """
    frames = {
        "table1": table1_frame(tables),
        "auc": auc_frame(tables),
        "operating_points": operating_points_frame(tables),
    }
    paths = [write_frame(frame, folder / f"{name}.csv") for name, frame in frames.items()]
    printed = [
        make(table, chosen_on=choice, titles=titles)
        for table in tables
        for make in (table1_printed, intervals_printed)
        for choice in table.choices
    ]
    return paths + write_printed(printed, folder / "table1")


def write_printed(printed: Sequence[PrintedTable], stem: Path) -> list[Path]:
    """Write tables one below the other as Markdown and LaTeX: ``stem.md`` and ``stem.tex``."""
    return [
        write_text("\n".join(table.to_markdown() for table in printed), stem.with_suffix(".md")),
        write_text("\n".join(table.to_tex() for table in printed), stem.with_suffix(".tex")),
    ]


class _Notes:
    """Reasons of undefined cells, each numbered once."""

    def __init__(self) -> None:
        self._reasons: dict[str, int] = {}

    def of(self, cell: str, reason: str) -> str:
        if not reason or NOT_AVAILABLE not in cell:
            return cell
        number = self._reasons.setdefault(reason, len(self._reasons) + 1)
        return f"{cell} [{number}]"

    def sentences(self) -> tuple[str, ...]:
        return tuple(f"[{number}] {NOT_AVAILABLE}: {reason}." for reason, number in self._reasons.items())


def _title(name: str, titles: Mapping[str, str] | None) -> str:
    return (titles or {}).get(name, model_title(name))


def _paper_cell(fraction: Fraction) -> str:
    paper = fraction.paper
    if paper.estimate is None:
        return NOT_AVAILABLE
    return f"{paper.estimate} ({NOT_AVAILABLE if paper.low is None else f'{paper.low}–{paper.high}'})"


def _percent_cell(value: Proportion) -> str:
    return interval_text(100 * value.estimate, 100 * value.low, 100 * value.high, 1)


def _p_row(table: Table1, chosen_on: Split, cluster: str, notes: _Notes) -> tuple[str, ...]:
    area = table.auc_tests["all", cluster]
    overall = [test.overall for test in table.tests_of(chosen_on, cluster).measures.values()]
    name = f"p, clusters = {cluster}s"
    return (name, "", notes.of(p_text(area.p), area.reason), *(notes.of(p_text(t.p_score), t.reason) for t in overall))


def _who(table: Table1, chosen_on: Split) -> tuple[str, ...]:
    lines = [f"Test set: {_count(table.test)}."]
    if chosen_on == Split.VALIDATION and table.validation is not None:
        lines.append(f"Validation set, which chose the cut-offs: {_count(table.validation)}.")
    lines.append(
        "Cut-off: maximal Youden index, rule score > cut-off, smallest of several."
        + (" 'all': every image is called malignant." if _calls_all(table, chosen_on) else "")
    )
    return tuple(lines)


def _calls_all(table: Table1, chosen_on: Split) -> bool:
    return any(np.isneginf(point.cutoff) for point in table.points_of(chosen_on))


def _count(facts: SetFacts) -> str:
    return f"{facts.images} images of {facts.patients} patients, {facts.malignant} malignant and {facts.benign} benign"
