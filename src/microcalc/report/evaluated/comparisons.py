"""Printed tables that compare models: areas, their differences, fractions by GEE, readers against models."""

from collections.abc import Sequence

import numpy as np

from microcalc.report.evaluated.counted import both_sets, test_set
from microcalc.report.printed import NOT_AVAILABLE, Footnotes, PrintedTable
from microcalc.report.words import (
    CHOICE_TEXT,
    MEASURE_TITLES,
    Names,
    counted,
    interval_text,
    number_text,
    p_text,
)
from microcalc.stats.comparison import AucDifference, OverallTest
from microcalc.stats.evaluation import Evaluation
from microcalc.stats.gee import GeeTest
from microcalc.stats.inputs import FloatArray
from microcalc.stats.multiplicity import holm
from microcalc.stats.noninferiority import NonInferiority
from microcalc.stats.operating_point import Measure
from microcalc.vocabulary import Split

__all__ = [
    "areas_printed",
    "fraction_pairs_printed",
    "fractions_overall_printed",
    "overall_printed",
    "pairs_printed",
    "readers_printed",
]


def areas_printed(e: Evaluation, names: Names) -> PrintedTable:
    """Every interval of every area."""
    notes, rows = Footnotes(names.spoken), []
    plain, clustered = e.table.auc, e.table.auc_clustered
    for j, model in enumerate(e.table.models):
        bands = e.bands[model]
        area = float(plain.auc[j])
        cells = [
            notes.of(interval_text(area, plain.low[j], plain.high[j], 3), plain.reasons[j]),
            notes.of(interval_text(area, plain.low_logit[j], plain.high_logit[j], 3), plain.reasons[j]),
            notes.of(interval_text(area, clustered.low[j], clustered.high[j], 3), clustered.reasons[j]),
            *(
                notes.of(interval_text(area, bands[by].auc_low, bands[by].auc_high, 3), bands[by].reason)
                for by in ("image", "patient")
            ),
        ]
        rows.append((names.title(model), *cells))
    columns = (
        "Model",
        "DeLong",
        "DeLong, logit",
        "Patients (Obuchowski)",
        "Bootstrap of images",
        "Bootstrap of patients",
    )
    return PrintedTable(
        title=f"Areas under the ROC curve with {_level(e)} limits of every kind",
        columns=columns,
        rows=tuple(rows),
        notes=(test_set(e), f"Bootstrap: {e.table.replicates} replicates, percentiles.", *notes.sentences()),
    )


def overall_printed(e: Evaluation, names: Names) -> PrintedTable:
    """Chi-square tests that all areas are equal."""
    notes, rows = Footnotes(names.spoken), []
    for which, words in (("all", "All models"), ("networks", "Without the ensemble")):
        plain, clustered = e.table.auc_tests.get((which, "image")), e.table.auc_tests.get((which, "patient"))
        if plain is not None and clustered is not None:
            rows.append((words, str(len(plain.models)), *_chi2(plain, notes), *_chi2(clustered, notes)))
    return PrintedTable(
        title="Equality of all areas",
        columns=("Models", "Count", "χ² (df), DeLong", "p", "χ² (df), patients", "p, patients"),
        rows=tuple(rows),
        notes=(
            test_set(e),
            *_of_the_ensemble(e),
            *notes.sentences(),
        ),
    )


def _of_the_ensemble(e: Evaluation) -> tuple[str, ...]:
    if e.plan.ensemble not in e.table.models:
        return ()
    return ("The ensemble is made of the other models, so a test that includes it mostly tests averaging.",)


def _chi2(test: OverallTest, notes: Footnotes) -> tuple[str, str]:
    value = number_text(test.chi2, 2)
    return notes.of(f"{value} ({test.df})", test.reason), notes.of(p_text(test.p), test.reason)


def pairs_printed(e: Evaluation, names: Names) -> PrintedTable:
    """Differences of areas, every two models."""
    notes, rows = Footnotes(names.spoken), []
    both = zip(e.pairs.plain, e.pairs.clustered, e.pairs.p_holm, e.pairs.p_holm_clustered, strict=True)
    for plain, clustered, p_holm, p_holm_clustered in both:
        rows.append(
            (
                f"{names.title(plain.a)} − {names.title(plain.b)}",
                *_difference(plain, p_holm, notes),
                *_difference(clustered, p_holm_clustered, notes)[0:1],
                *_difference(clustered, p_holm_clustered, notes)[2:],
            )
        )
    return PrintedTable(
        title="Differences between areas, every two models",
        columns=(
            "Models", f"Difference ({_level(e)} CI)", "z", "p", "Holm", "CI, patients", "p, patients", "Holm, patients",
        ),
        rows=tuple(rows),
        notes=(
            test_set(e),
            "DeLong's covariance with images as independent; beside it Obuchowski's with patients as clusters. Holm:"
            f" corrected for {_made((('images', e.pairs.p_holm), ('patients', e.pairs.p_holm_clustered)))}.",
            *notes.sentences(),
        ),
    )  # fmt: skip


def _difference(pair: AucDifference, p_holm: float, notes: Footnotes) -> tuple[str, str, str, str]:
    reason = pair.reason
    return (
        notes.of(interval_text(pair.difference, pair.low, pair.high, 3), reason),
        notes.of(number_text(pair.z, 2), reason),
        notes.of(p_text(pair.p), reason),
        notes.of(p_text(p_holm), reason),
    )


def fractions_overall_printed(e: Evaluation, names: Names, chosen_on: Split) -> PrintedTable:
    """Overall GEE tests of the five fractions, three statistics, two kinds of cluster."""
    notes, rows = Footnotes(names.spoken), []
    for cluster in ("image", "patient"):
        for measure, comparison in e.table.tests_of(chosen_on, cluster).measures.items():
            test = comparison.overall
            rows.append((MEASURE_TITLES[measure], f"{cluster}s", str(test.df), *_statistics(test, notes)))
    return PrintedTable(
        title=f"Equality of all models' fractions (GEE); {CHOICE_TEXT[chosen_on]}",
        columns=("Measure", "Clusters", "df", "Score χ²", "p", "Wald χ², logit", "p", "Wald χ², identity", "p"),
        rows=tuple(rows),
        notes=(
            *_sets(e, chosen_on),
            "Marginal logistic model, independence working correlation, sandwich variance. Score: generalised score.",
            *notes.sentences(),
        ),
    )


def _statistics(test: GeeTest, notes: Footnotes) -> tuple[str, ...]:
    cells = (
        (number_text(test.score, 2), p_text(test.p_score)),
        (number_text(test.wald_logit, 2), p_text(test.p_wald_logit)),
        (number_text(test.wald_identity, 2), p_text(test.p_wald_identity)),
    )
    return tuple(notes.of(cell, test.reason) for pair in cells for cell in pair)


def fraction_pairs_printed(e: Evaluation, names: Names, chosen_on: Split, cluster: str) -> PrintedTable:
    """Differences of the five fractions in percentage points, every two models, with p and Holm's p."""
    notes, rows = Footnotes(names.spoken), []
    measures = e.table.tests_of(chosen_on, cluster).measures
    corrected = {m: holm([pair.p_score for pair in c.pairs]) for m, c in measures.items()}
    count = len(next(iter(measures.values())).pairs)
    for position in range(count):
        cells, pair = [], None
        for measure in Measure:
            pair = measures[measure].pairs[position]
            difference = number_text(100 * pair.difference, 1)
            p = f"{difference}; {p_text(pair.p_score)}; {p_text(float(corrected[measure][position]))}"
            cells.append(notes.of(p, pair.reason))
        if pair is not None:
            rows.append((f"{names.title(pair.a)} − {names.title(pair.b)}", *cells))
    return PrintedTable(
        title=f"Differences of fractions, every two models, clusters = {cluster}s; {CHOICE_TEXT[chosen_on]}",
        columns=("Models", *(MEASURE_TITLES[m] for m in Measure)),
        rows=tuple(rows),
        notes=(
            *_sets(e, chosen_on),
            "Each cell: difference in percentage points; p of the generalised score test; p corrected by Holm for"
            f" {_made(tuple((MEASURE_TITLES[m], p) for m, p in corrected.items()))}.",
            *notes.sentences(),
        ),
    )


def _sets(e: Evaluation, chosen_on: Split) -> tuple[str, ...]:
    return both_sets(e) if chosen_on == Split.VALIDATION else (test_set(e),)


def _made(columns: Sequence[tuple[str, FloatArray]]) -> str:
    """How many tests of each column could be made: those that count for Holm's correction."""
    made = [(name, int(np.isfinite(p).sum())) for name, p in columns]
    if len({tests for _, tests in made}) == 1:
        return f"the {counted(made[0][1], 'test')} of its column"
    numbers = ", ".join(f"{name} {tests}" for name, tests in made)
    return f"the tests of its column that could be made ({numbers})"


def readers_printed(e: Evaluation, names: Names) -> PrintedTable:
    """Models against readers, with the stated margin; p is that of the test of non-inferiority."""
    notes, rows = Footnotes(names.spoken), []
    for plain, clustered in zip(e.readers, e.readers_clustered, strict=True):
        words = f"{names.title(plain.model)} − {names.title(plain.reader)}"
        rows.append((words, *_reader(plain, notes), *_reader(clustered, notes)))
    head = f"Difference of areas ({_level(e)} CI)"
    return PrintedTable(
        title=f"Models against readers; non-inferiority with a margin of {e.plan.margin:g} in AUC",
        columns=("Model − reader", head, _P, "Conclusion", "by patients", _P, "Conclusion"),
        rows=tuple(rows),
        notes=(
            test_set(e),
            f"p of non-inferiority: one-sided, of the hypothesis that the model is worse by {e.plan.margin:g} or more;"
            f" no p of superiority. Conclusions are drawn from the two-sided {_level(e)} interval, that is at a"
            f" one-sided level of {50 * (1 - e.table.confidence):.3g}%: non-inferior where its lower limit lies above"
            " minus the margin, superior where it lies above 0.",
            "The readers are taken as fixed. The margin must have been stated before the data were seen.",
            *notes.sentences(),
        ),
    )


_P = "p, non-inferiority"


def _reader(row: NonInferiority, notes: Footnotes) -> tuple[str, str, str]:
    if row.non_inferior is None or not np.isfinite(row.low):
        answer = NOT_AVAILABLE
    elif row.superior:
        answer = "non-inferior, superior"
    else:
        answer = "non-inferior" if row.non_inferior else "not shown"
    return (
        notes.of(interval_text(row.difference, row.low, row.high, 3), row.reason),
        notes.of(p_text(row.p), row.reason),
        notes.of(answer, row.reason),
    )


def _level(e: Evaluation) -> str:
    return f"{100 * e.table.confidence:g}%"
