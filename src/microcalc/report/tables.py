"""Table 1 and what stands beside it: data frames in full precision, and tables as a paper prints them.

Takes results of `stats` and computes nothing new. File names are fixed, so that others can build on them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from microcalc.report.frames import auc_frame, operating_points_frame, table1_frame, write_frame, write_text
from microcalc.report.printed import NOT_AVAILABLE, Footnotes, PrintedTable
from microcalc.report.words import (
    CHOICE_TEXT,
    CUTOFF_DIGITS,
    MEASURE_TITLES,
    MODEL_TITLES,
    Names,
    facts_text,
    interval_text,
    model_title,
    number_text,
    p_text,
    percent_text,
)
from microcalc.stats.inputs import FloatArray
from microcalc.stats.judged import Fraction
from microcalc.stats.summary import Table1
from microcalc.vocabulary import Split

__all__ = [
    "MODEL_TITLES",
    "Scales",
    "interval_text",
    "intervals_printed",
    "model_title",
    "number_text",
    "p_text",
    "table1_printed",
    "who_was_counted",
    "write_printed",
    "write_table1",
]

Scales = Mapping[str, Mapping[float, str]]
"""For each model whose scores are words, the word of each number."""


def table1_printed(
    table: Table1,
    *,
    chosen_on: Split = Split.TEST,
    titles: Mapping[str, str] | None = None,
    scales: Scales | None = None,
    observed: Mapping[str, FloatArray] | None = None,
) -> PrintedTable:
    """Table 1 in the paper's form: Wald limits in its two-step rounding, p values of the overall tests below.

    Args:
        table: from `microcalc.stats.table1`.
        chosen_on: which cut-offs.
        titles: names of models, where they are not the paper's.
        scales: words of ordinal scores, by model.
        observed: scores of the test set, by model: cut-offs then have only the digits that part them.
    """
    names = Names(titles or {}, scales or {}, observed or {})
    notes = Footnotes(names.spoken)
    rows = []
    for point in table.points_of(chosen_on):
        j = table.models.index(point.model)
        area = interval_text(table.auc.auc[j], table.auc.low[j], table.auc.high[j], 3)
        cells = [
            names.title(point.model),
            notes.of(names.cutoff(point.model, point.cutoff), point.reason),
            notes.of(area, table.auc.reasons[j]),
        ]
        rows.append((*cells, *(notes.of(_paper_cell(f), f.paper.reason) for f in point.fractions.values())))
    rows += [_p_row(table, chosen_on, cluster, notes) for cluster in ("image", "patient")]
    percent = f"{100 * table.confidence:g}% CI"
    columns = ("Model", "Cut-off", f"AUC ({percent})", *(f"{t} ({percent})" for t in MEASURE_TITLES.values()))
    run = f" ({table.run})" if table.run else ""
    return PrintedTable(
        title=f"Table 1. Diagnostic performance of the models{run}; {CHOICE_TEXT[chosen_on]}",
        columns=columns,
        rows=tuple(rows),
        notes=(
            *who_was_counted(table, chosen_on),
            CUTOFF_DIGITS,
            _HOW_TABLE1.format(unit=table.unit),
            *_without_ensemble(table),
            *notes.sentences(),
        ),
    )


def _without_ensemble(table: Table1) -> tuple[str, ...]:
    tests = [table.auc_tests.get(("networks", cluster)) for cluster in ("image", "patient")]
    p = [p_text(test.p) for test in tests if test is not None]
    if not p:
        return ()
    return (f"AUC of all without the ensemble, which is made of others: p {p[0]} (images), {p[1]} (patients).",)


_HOW_TABLE1 = (
    "AUC: DeLong. Fractions in percent: Wald, {unit}s as independent, estimate and half-width each rounded as in the"
    " paper. p: all models equal; AUC by DeLong's chi-square, fractions by the generalised score test of the GEE, with"
    " {unit}s or patients as clusters."
)

_HOW_INTERVALS = (
    "DeLong; Wilson: AUC by DeLong, fractions by Wilson, {unit}s as independent. Patients: AUC by Obuchowski,"
    " fractions by bootstrap of patients ({replicates} replicates). Fractions in percent."
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
    notes = Footnotes(Names(titles or {}).spoken)
    rows = []
    for point in table.points_of(chosen_on):
        j = table.models.index(point.model)
        plain, clustered = table.auc, table.auc_clustered
        fractions = point.fractions.values()
        rows.append((model_title(point.model, titles), "", "", *(f"{f.successes}/{f.n}" for f in fractions)))
        area = interval_text(plain.auc[j], plain.low[j], plain.high[j], 3)
        wilson = (notes.of(percent_text(f.wilson), f.wilson.reason) for f in fractions)
        rows.append(("", "DeLong; Wilson", notes.of(area, plain.reasons[j]), *wilson))
        area = interval_text(plain.auc[j], clustered.low[j], clustered.high[j], 3)
        drawn = (notes.of(percent_text(f.bootstrap), f.bootstrap.reason) for f in fractions)
        rows.append(("", "patients", notes.of(area, clustered.reasons[j]), *drawn))
    run = f" ({table.run})" if table.run else ""
    return PrintedTable(
        title=f"Intervals beside Table 1{run}; {CHOICE_TEXT[chosen_on]}",
        columns=("Model", "Limits", "AUC", *MEASURE_TITLES.values()),
        rows=tuple(rows),
        notes=(
            *who_was_counted(table, chosen_on),
            _HOW_INTERVALS.format(unit=table.unit, replicates=table.replicates),
            *notes.sentences(),
        ),
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


def _paper_cell(fraction: Fraction) -> str:
    paper = fraction.paper
    if paper.estimate is None:
        return NOT_AVAILABLE
    return f"{paper.estimate} ({NOT_AVAILABLE if paper.low is None else f'{paper.low}–{paper.high}'})"


def _p_row(table: Table1, chosen_on: Split, cluster: str, notes: Footnotes) -> tuple[str, ...]:
    area = table.auc_tests["all", cluster]
    overall = [test.overall for test in table.tests_of(chosen_on, cluster).measures.values()]
    name = f"p, clusters = {table.unit if cluster == 'image' else cluster}s"
    return (name, "", notes.of(p_text(area.p), area.reason), *(notes.of(p_text(t.p_score), t.reason) for t in overall))


def who_was_counted(table: Table1, chosen_on: Split) -> tuple[str, ...]:
    """Say who is in the sets and how cut-offs were chosen, one sentence each."""
    lines = [f"Test set: {facts_text(table.test, table.unit)}."]
    if chosen_on == Split.VALIDATION and table.validation is not None:
        lines.append(f"Validation set, which chose the cut-offs: {facts_text(table.validation, table.unit)}.")
    lines.append(
        "Cut-off: maximal Youden index, rule score > cut-off, smallest of several."
        + (" 'all': everything is called malignant." if _calls_all(table, chosen_on) else "")
    )
    return tuple(lines)


def _calls_all(table: Table1, chosen_on: Split) -> bool:
    return any(np.isneginf(point.cutoff) for point in table.points_of(chosen_on))
