"""Printed tables of single models: cut-offs and their consequences, parts of curves, calibration, levels, subgroups."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from microcalc.report.evaluated.counted import both_sets, chooser, test_set
from microcalc.report.printed import NOT_AVAILABLE, Footnotes, PrintedTable
from microcalc.report.words import (
    CUTOFF_DIGITS,
    Names,
    counted,
    facts_text,
    interval_text,
    number_text,
    p_text,
    percent_text,
)
from microcalc.stats.calibration import Coefficient
from microcalc.stats.consequences import PredictiveValue
from microcalc.stats.evaluation import Evaluation, JudgedPoint, LevelResult
from microcalc.stats.judged import OperatingPoint
from microcalc.stats.levels import Aggregation
from microcalc.stats.operating_point import Counts, Measure
from microcalc.stats.subgroups import SMALLEST_CLASS, SubgroupAuc, Subgroups
from microcalc.vocabulary import Split

__all__ = [
    "calibration_printed",
    "consequences_printed",
    "curve_parts_printed",
    "levels_printed",
    "points_printed",
    "predictive_printed",
    "subgroups_printed",
]

_WHERE = {Split.TEST: "test, optimistic", Split.VALIDATION: "validation, frozen", "given": "given"}


def points_printed(e: Evaluation, names: Names) -> PrintedTable:
    """Every cut-off with its four counts."""
    notes, rows = Footnotes(names.spoken), []
    for judged in e.points:
        counts = judged.point.counts
        cells = (str(n) for n in (counts.tp, counts.fn, counts.tn, counts.fp))
        both = (judged.point.fractions[m].wilson for m in (Measure.SENSITIVITY, Measure.SPECIFICITY))
        shares = (notes.of(percent_text(value), value.reason) for value in both)
        rows.append((*_head(judged, names), *cells, *shares))
    ties = [
        f"{names.title(p.model)}: {len(p.choice.maximisers)} cut-offs reach the same Youden index, the smallest is used"
        for p in e.table.points
        if len(p.choice.maximisers) > 1
    ]
    refused = [p for p in (*e.table.points, *e.refused) if p.reason]
    none = [f"{names.title(p.model)}, {_rule(p)}, chosen on {p.chosen_on}: no cut-off, {p.reason}" for p in refused]
    return PrintedTable(
        title="Cut-offs, how and where they were chosen, and their counts on the test set",
        columns=(*_HEAD, "TP", "FN", "TN", "FP", "Sensitivity", "Specificity"),
        rows=tuple(rows),
        notes=(
            *both_sets(e),
            "Percent with Wilson's limits.",
            CUTOFF_DIGITS,
            *(f"{words}." for words in (*ties, *none)),
            *notes.sentences(),
        ),
    )


def consequences_printed(e: Evaluation, names: Names) -> PrintedTable:
    """Biopsies avoided and cancers missed."""
    notes, rows = Footnotes(names.spoken), []
    for judged in e.points:
        c = judged.consequences
        cells = []
        for value, drawn in ((c.avoided, c.avoided_patient), (c.missed, c.missed_patient)):
            cells.append(notes.of(percent_text(value), value.reason))
            limits = interval_text(100 * value.estimate, 100 * drawn[0], 100 * drawn[1], 1)
            cells.append(notes.of(limits, value.reason or "at 0 and 100 % replicates have no spread; see Wilson's"))
        rows.append((*_head(judged, names), *cells))
    return PrintedTable(
        title="What would have happened, had only lesions above the cut-off been biopsied",
        columns=(
            *_HEAD, "Biopsies avoided per 100 benign", "by patients", "Cancers missed per 100", "by patients",
        ),
        rows=tuple(rows),
        notes=(
            *both_sets(e),
            f"Every {e.table.unit} counts as one lesion. Limits by Wilson, and by bootstrap of patients"
            f" ({e.table.replicates} replicates).",
            *notes.sentences(),
        ),
    )  # fmt: skip


def predictive_printed(e: Evaluation, names: Names) -> PrintedTable:
    """PPV and NPV at other prevalences."""
    notes, rows = Footnotes(names.spoken), []
    for judged in e.points:
        cells = []
        for value in judged.consequences.predictive:
            text = interval_text(100 * value.estimate, 100 * value.low_patient, 100 * value.high_patient, 1)
            cells.append(notes.of(text, _why_not(value, judged.point.counts)))
        rows.append((*_head(judged, names), *cells))
    heads = [f"{m} at {p:.3g}" for p in e.plan.prevalences for m in ("PPV", "NPV")]
    return PrintedTable(
        title="Predictive values carried to other prevalences (Bayes)",
        columns=(*_HEAD, *heads),
        rows=tuple(rows),
        notes=(
            *both_sets(e),
            f"Percent; limits by bootstrap of patients ({e.table.replicates} replicates). Sensitivity and specificity"
            " are taken to be the same at every prevalence.",
            *notes.sentences(),
        ),
    )


_NO_SPREAD = "where sensitivity or specificity is 0 or 1, its replicates have no spread and logit limits are undefined"


def _why_not(value: PredictiveValue, counts: Counts) -> str:
    """Why a predictive value, or its limits, are n/a."""
    if np.isfinite(value.estimate):
        return _NO_SPREAD if value.reason else "undefined in more than half of the replicates"
    if not (np.isfinite(counts.sensitivity) and np.isfinite(counts.specificity)):
        return "without images of both classes there is no sensitivity or no specificity to carry"
    call, name = ("malignant", "PPV") if value.measure == "ppv" else ("benign", "NPV")
    return f"nothing is called {call}, so there is no {name}"


def _rule(point: OperatingPoint) -> str:
    return "Youden" if point.rule == "youden" else point.rule.replace(">=", " ≥ ")


_HEAD = ("Model", "Rule", "Chosen on", "Cut-off")


def _head(judged: JudgedPoint, names: Names) -> tuple[str, str, str, str]:
    point = judged.point
    return names.title(point.model), _rule(point), _WHERE[point.chosen_on], names.cutoff(point.model, point.cutoff)


def curve_parts_printed(e: Evaluation, names: Names) -> PrintedTable:
    """Partial areas and average precision."""
    notes, rows = Footnotes(names.spoken), []
    for model in e.table.models:
        cells = []
        for part in e.partial[model]:
            cells.append(notes.of(interval_text(part.area, *part.limits, 3), part.reason))
            cells.append(notes.of(interval_text(part.standardised, *part.limits_standardised, 3), part.reason))
        curve = e.precision[model]
        cells.append(notes.of(interval_text(curve.average_precision, curve.low, curve.high, 3), curve.reason))
        rows.append((names.title(model), *cells))
    low, high = e.plan.partial
    between = f"{low:g} to {high:g}"
    return PrintedTable(
        title="Parts of the ROC curve, and average precision",
        columns=(
            "Model", f"Area, specificity {between}", "standardised", f"Area, sensitivity {between}", "standardised",
            "Average precision",
        ),
        rows=tuple(rows),
        notes=(
            test_set(e),
            f"Limits by bootstrap of patients ({e.table.replicates} replicates). ROC corners are joined by straight"
            " lines, precision by steps. Standardised (McClish): 0.5 is chance, 1 is perfect. Average precision of"
            f" chance: {e.table.test.malignant / max(e.table.test.images, 1):.3f}.",
            *notes.sentences(),
        ),
    )  # fmt: skip


def calibration_printed(e: Evaluation, names: Names) -> PrintedTable:
    """Calibration before and after."""
    notes, rows = Footnotes(names.spoken), []
    for row in e.calibration:
        result, score = row.result, row.result.brier
        rows.append(
            (
                names.title(row.model),
                row.method,
                str(len(result.bins)) if result.bins else NOT_AVAILABLE,
                notes.of(_coefficient(result.intercept), result.intercept.reason),
                notes.of(_coefficient(result.slope), result.slope.reason),
                notes.of(interval_text(score.score, score.low, score.high, 3), result.reason),
                *(
                    notes.of(number_text(value, 3), result.reason)
                    for value in (score.reliability, score.resolution, score.uncertainty, score.within)
                ),
                notes.of(number_text(result.expected_error, 3), result.reason),
            )
        )
    learnt = (
        f"Recalibrations were learnt on the validation set ({facts_text(e.table.validation)}), never on the test set."
        if e.table.validation is not None
        else f"No recalibration: {e.without_frozen}, and none is ever learnt on the test set."
    )
    bins = e.plan.bins
    return PrintedTable(
        title="Calibration on the test set, before and after recalibration",
        columns=(
            *("Model", "Recalibration", "Bins", "Intercept", "Slope", "Brier"),
            *("reliability", "resolution", "uncertainty", "within bins", "ECE"),
        ),
        rows=tuple(rows),
        notes=(
            test_set(e),
            f"{learnt} Intercept with the slope held at 1; limits cluster-robust by patient, those of Brier's score by"
            " bootstrap of patients.",
            "Brier = reliability − resolution + uncertainty + within bins, before rounding. ECE: expected calibration"
            f" error. Bins: of {bins.binning}, at most {bins.count}; equal probabilities stay together, empty bins are"
            " left out.",
            *notes.sentences(),
        ),
    )  # fmt: skip


def _coefficient(value: Coefficient) -> str:
    return interval_text(value.estimate, value.low, value.high, 2)


def levels_printed(e: Evaluation, names: Names) -> PrintedTable:
    """Areas and fractions of images, lesions, breasts and patients."""
    notes, rows, about = Footnotes(names.spoken), [], []
    tables = [(e.table, dict[str, str](), names)]
    tables += [(lv.table, _joined(lv), _of_level(lv, names)) for lv in e.levels if lv.table is not None]
    for table, joined, called in tables:
        chosen = table.usual_choice
        for j, point in enumerate(table.points_of(chosen)):
            plain, area = table.auc, table.auc_clustered
            both = (point.fractions[m].wilson for m in (Measure.SENSITIVITY, Measure.SPECIFICITY))
            rows.append(
                (
                    ", ".join([table.unit, *([joined[point.model]] if joined else [])]),
                    names.title(point.model),
                    notes.of(interval_text(plain.auc[j], plain.low[j], plain.high[j], 3), plain.reasons[j]),
                    notes.of(interval_text(area.auc[j], area.low[j], area.high[j], 3), area.reasons[j]),
                    _WHERE[chosen],
                    notes.of(called.cutoff(point.model, point.cutoff), point.reason),
                    *(notes.of(percent_text(value), value.reason) for value in both),
                )
            )
        about.append(f"By {table.unit}: {facts_text(table.test, table.unit)}.")
        about += chooser(table)
    about += [f"Not by {level.level}: {level.reason}." for level in e.levels if level.reason]
    ordinal = dict.fromkeys(name for level in e.levels for name in level.ordinal)
    if ordinal:
        about.append(f"Of categories in order ({', '.join(names.title(n) for n in ordinal)}) the highest counts.")
    about += [
        f"{counted(level.mixed, level.level)} with malignant and benign images: counted as malignant."
        for level in e.levels
        if level.mixed
    ]
    return PrintedTable(
        title="Images, lesions, breasts, patients: the same at other levels",
        columns=(
            *("Level", "Model", "AUC (DeLong)", "AUC (by patients)", "Cut-off chosen on", "Cut-off"),
            *("Sensitivity", "Specificity"),
        ),
        rows=tuple(rows),
        notes=(
            *about,
            "The score of a lesion, breast or patient is the mean or maximum of its images' scores, as the row says."
            " Cut-off: maximal Youden index, chosen among the scores of its level.",
            CUTOFF_DIGITS,
            "Limits of the AUC by DeLong, which takes the units as independent, and by Obuchowski, patients as"
            " clusters; of the fractions by Wilson.",
            *notes.sentences(),
        ),
    )


def _joined(level: LevelResult) -> dict[str, str]:
    """How the scores of a unit's images became one, by model."""
    models = level.table.models if level.table is not None else ()
    return {model: str(Aggregation.MAXIMUM if model in level.ordinal else level.aggregation) for model in models}


def _of_level(level: LevelResult, names: Names) -> Names:
    """The names, with the scores of the level's units, which its cut-offs have to part."""
    units = level.units
    return names if units is None else replace(names, observed=dict(zip(units.models, units.scores.T, strict=True)))


def subgroups_printed(e: Evaluation, part: Subgroups, names: Names) -> PrintedTable:
    """One variable: every group, every model, and the tests that a model does as well in all groups."""
    notes, rows = Footnotes(names.spoken), []
    for row in part.rows:
        small = " (too small)" if row.too_small else ""
        area = notes.of(interval_text(row.auc, row.low, row.high, 3), row.reason)
        counts = (str(n) for n in (row.images, row.patients, row.malignant, row.benign))
        rows.append((f"{row.group}{small}", *counts, names.title(row.model), area, *_shares(row, notes)))
    for test in part.interactions:
        text = f"χ² {number_text(test.chi2, 2)} ({test.df}), p {p_text(test.p)}"
        rows.append(
            (_equal(test.groups, part), "", "", "", "", names.title(test.model), notes.of(text, test.reason), "", "")
        )
    unknown = (
        f" In no group, for want of a value: {counted(part.without_value, 'image')}." if part.without_value else ""
    )
    return PrintedTable(
        title=f"Subgroups by {part.variable}",
        columns=(
            *(part.variable, "Images", "Patients", "Malignant", "Benign", "Model", "AUC (by patients)"),
            *("Sensitivity", "Specificity"),
        ),
        rows=tuple(rows),
        notes=(
            f"{test_set(e)}{unknown}",
            *chooser(e.table),
            f"Sensitivity and specificity at the cut-offs of Table 1 (Youden, {_WHERE[e.table.usual_choice]}), with"
            " Wilson's limits, images as independent; those by patients are in subgroups.csv.",
            f"A group with fewer than {SMALLEST_CLASS} images of a class is too small and takes no part in the test.",
            *(f"{warning}." for warning in part.warnings),
            *notes.sentences(),
        ),
    )


def _shares(row: SubgroupAuc, notes: Footnotes) -> tuple[str, ...]:
    """Sensitivity and specificity of a group: counts, percent and limits."""
    if row.counts is None:
        return (notes.of(NOT_AVAILABLE, "no cut-off"),) * 2
    both = (row.counts.sensitivity, row.counts.specificity)
    return tuple(notes.of(f"{share.successes}/{share.n}, {percent_text(share)}", share.reason) for share in both)


def _equal(tested: Sequence[str], part: Subgroups) -> str:
    """Name the groups that a test of equality compared."""
    groups = tuple(dict.fromkeys(row.group for row in part.rows))
    if len(tested) < 2:
        return "groups equal"
    if len(tested) == len(groups):
        return f"all {len(groups)} groups equal"
    return f"{len(tested)} of {len(groups)} groups equal: {', '.join(tested)}"
