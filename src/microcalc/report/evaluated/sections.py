"""The sections that an evaluation adds to a run of the report: tables, figures, and the sentences around them."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from matplotlib.figure import Figure

from microcalc.report.content import ReportFigure, Section
from microcalc.report.evaluated.comparisons import (
    areas_printed,
    fraction_pairs_printed,
    fractions_overall_printed,
    overall_printed,
    pairs_printed,
    readers_printed,
)
from microcalc.report.evaluated.figures import decision_figure, precision_recall_figure, reliability_figure
from microcalc.report.evaluated.judgements import (
    calibration_printed,
    consequences_printed,
    curve_parts_printed,
    levels_printed,
    points_printed,
    predictive_printed,
    subgroups_printed,
)
from microcalc.report.printed import PrintedTable
from microcalc.report.words import Names
from microcalc.stats.evaluation import Evaluation
from microcalc.stats.inputs import FloatArray
from microcalc.stats.subgroups import MOST_GROUPS, too_many_groups
from microcalc.vocabulary import Split

__all__ = ["evaluation_sections", "observed_scores", "printed_tables"]


def observed_scores(e: Evaluation) -> Mapping[str, FloatArray]:
    """Every score of the test set, once, by model; cut-offs are printed with the digits that part them."""
    return {model: curve.cutoffs for model, curve in e.curves.items()}


def printed_tables(e: Evaluation, names: Names) -> dict[str, tuple[PrintedTable, ...]]:
    """Every printed table by the stem of its file."""
    names = replace(names, observed=observed_scores(e))
    chosen = e.table.usual_choice
    several = len(e.table.models) > 1
    tables = {
        "auc": (areas_printed(e, names), *((overall_printed(e, names),) if several else ())),
        "auc_pairs": (pairs_printed(e, names),) if several else (),
        "gee": _gee(e, names, Split.TEST) if several else (),
        "gee_frozen": _gee(e, names, chosen) if several and chosen != Split.TEST else (),
        "operating_points": (points_printed(e, names),),
        "consequences": (consequences_printed(e, names), predictive_printed(e, names)),
        "partial_auc": (curve_parts_printed(e, names),),
        "calibration": (calibration_printed(e, names),),
        "levels": (levels_printed(e, names),),
        "subgroups": tuple(subgroups_printed(e, part, names) for part in e.subgroups),
        "readers": (readers_printed(e, names),) if e.readers else (),
    }
    return {name: part for name, part in tables.items() if part}


def _gee(e: Evaluation, names: Names, chosen_on: Split) -> tuple[PrintedTable, ...]:
    by_cluster = (fraction_pairs_printed(e, names, chosen_on, cluster) for cluster in ("image", "patient"))
    return (fractions_overall_printed(e, names, chosen_on), *by_cluster)


def evaluation_sections(e: Evaluation, names: Names | None = None, *, stem: str = "") -> tuple[Section, ...]:
    """Make the sections of one run.

    Args:
        e: the evaluation.
        names: of models and scales.
        stem: of the run, for file names of figures; they differ between runs.
    """
    called = names or Names()
    tables = printed_tables(e, called)
    suffix = f"_{stem}" if stem else ""

    def drawn(name: str, title: str, caption: str, draw: Callable[[Evaluation, Names], Figure]) -> ReportFigure:
        return ReportFigure(f"{name}{suffix}", title, caption, f"{title} {caption}", draw(e, called))

    calibrated = any(row.learnt is None and not row.result.reason for row in e.calibration)
    candidates = (
        Section("Areas: every interval, every difference", tables=(*tables["auc"], *tables.get("auc_pairs", ()))),
        Section(
            "Sensitivity, specificity, accuracy, PPV and NPV compared",
            tables=(*tables.get("gee_frozen", ()), *tables.get("gee", ())),
        ),
        Section(
            "Other cut-offs, and what would have happened",
            (_CUTOFFS,),
            (*tables["operating_points"], *tables["consequences"]),
        ),
        Section(
            "Parts of the ROC curve; precision and recall",
            tables=tables["partial_auc"],
            figures=(drawn("precision_recall", "Precision and recall.", _PRECISION, precision_recall_figure),)
            if e.table.test.malignant
            else (),
        ),
        Section(
            "Calibration",
            (_CALIBRATION,),
            tables["calibration"],
            figures=(drawn("reliability", "Reliability curves.", _reliability(e), reliability_figure),)
            if calibrated
            else (),
        ),
        Section(
            "Decision curves",
            (_DECISION,),
            figures=(drawn("decision_curves", "Decision curves.", _NET, decision_figure),),
        )
        if calibrated
        else None,
        Section("Lesions, breasts, patients", tables=tables["levels"]),
        Section("Subgroups", (_SUBGROUPS, *_ungrouped(e)), tables.get("subgroups", ())),
        Section("Readers against models", tables=tables.get("readers", ())),
    )
    return tuple(s for s in candidates if s is not None and (s.tables or s.figures))


def _ungrouped(e: Evaluation) -> tuple[str, ...]:
    left = {name: n for name, n in too_many_groups(e.test.images).items() if name not in e.plan.subgroups}
    named = ", ".join(f"{name} ({count})" for name, count in left.items())
    return (f"With more than {MOST_GROUPS} values, and so not grouped: {named}.",) if left else ()


_CUTOFFS = (
    "A cut-off that was chosen on the test set has seen the answers, so what it reaches there is optimistic. A frozen"
    " one was chosen on the validation set and only judged here."
)
_PRECISION = "Precision against recall on the test set, as steps; in brackets bootstrap limits by patient."
_CALIBRATION = (
    "Whether a probability of 30% means three malignant lesions in ten. Only scores that are probabilities can be"
    " judged. Where cancer is rarer than in this test set, calibration has to be checked anew."
)
_DECISION = (
    "What acting on a model is worth. The threshold is the probability of cancer above which one would biopsy; net"
    " benefit counts cancers found, less unneeded biopsies at the exchange rate that the threshold implies. A model is"
    " of use where its curve lies above those of a biopsy for everybody and for nobody."
)
_NET = "Net benefit per image over the threshold probability; bands are bootstrap limits by patient."
_SUBGROUPS = (
    "Whether the models do as well in every group. The tests are many and the groups small: a finding here is a"
    " question for another study."
)


def _reliability(e: Evaluation) -> str:
    bins = e.plan.bins
    words = (
        f"Share of malignant images against mean probability, at most {bins.count} bins of {bins.binning}; Wilson's"
        " limits, images as independent."
    )
    if any(row.learnt is not None and not row.learnt.reason for row in e.calibration):
        words += " Slope and intercept are those of the scores as they came, before recalibration."
    return words
