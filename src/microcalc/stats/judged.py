"""Models at their cut-offs: where each cut-off came from, the counts it gives on the test set, the five fractions.

A cut-off is chosen by a rule on one set of images and judged on another, or on the same one, which is optimistic and
says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from microcalc.predictions import ScoreTable
from microcalc.stats.bootstrap import BootstrapInterval, bootstrap_fractions
from microcalc.stats.cutoffs import CutoffChoice, CutoffRule, choose_cutoff
from microcalc.stats.gee import Gee, gee, undefined_gee
from microcalc.stats.inputs import BoolArray, FloatArray
from microcalc.stats.operating_point import Counts, Measure, confusion, decisions, measure_rows
from microcalc.stats.proportions import PaperLimits, Proportion, clopper_pearson, paper_limits, wald, wilson
from microcalc.stats.replicates import Resampling
from microcalc.vocabulary import Split

__all__ = ["GIVEN", "Fraction", "OperatingPoint", "OverallTests", "compare_fractions", "operating_points"]

GIVEN = "given"
"""Stands for the set of a cut-off that was brought along instead of chosen."""


@dataclass(frozen=True)
class Fraction:
    """One measure of one model with every kind of limits.

    Attributes:
        measure: which of the five.
        successes, n: the fraction.
        estimate: NaN where n is 0.
        paper: as the paper prints it, in percent.
        wald, wilson, clopper_pearson: images count as independent.
        robust: Wald with the cluster-robust variance of patients.
        bootstrap: patients drawn with all their images.
    """

    measure: Measure
    successes: int
    n: int
    estimate: float
    paper: PaperLimits
    wald: Proportion
    wilson: Proportion
    clopper_pearson: Proportion
    robust: Proportion
    bootstrap: Proportion


@dataclass(frozen=True)
class OperatingPoint:
    """One model at one cut-off, judged on the test set.

    Attributes:
        model: name.
        rule: how the cut-off was found, ``youden``, ``sensitivity>=0.95``, ....
        chosen_on: ``test`` (optimistic), ``validation`` (frozen) or ``given``.
        cutoff: malignant is called where score > cutoff; NaN where ``reason`` says why.
        choice: every cut-off that serves as well, and the counts on the set where it was chosen.
        counts: on the test set.
        maximiser_counts: on the test set, for every maximiser of ``choice``.
        fractions: the five measures.
        reason: why there is no cut-off.
    """

    model: str
    rule: str
    chosen_on: str
    cutoff: float
    choice: CutoffChoice
    counts: Counts
    maximiser_counts: tuple[Counts, ...]
    fractions: Mapping[Measure, Fraction]
    reason: str = ""

    @property
    def optimistic(self) -> bool:
        """Whether the cut-off saw the images that it is judged on."""
        return self.chosen_on == Split.TEST


@dataclass(frozen=True)
class OverallTests:
    """The tests of the table's last rows: all models equal, for one choice of cut-offs and one kind of cluster.

    Attributes:
        chosen_on: where the cut-offs come from.
        cluster: ``image`` (the paper, probably) or ``patient``.
        measures: the five comparisons, each overall and by pairs.
    """

    chosen_on: str
    cluster: str
    measures: Mapping[Measure, Gee]


def operating_points(
    test: ScoreTable,
    chooser: ScoreTable,
    rules: Mapping[str, CutoffRule],
    *,
    chosen_on: str,
    plan: Resampling,
    confidence: float = 0.95,
) -> tuple[OperatingPoint, ...]:
    """Choose cut-offs on one set and judge them on the test set.

    Args:
        test: the set that is judged.
        chooser: the set that chooses; the test set itself makes the points optimistic.
        rules: for each model that takes part.
        chosen_on: name of the choosing set, or ``given``.
        plan: bootstrap of the test set, by patient.
        confidence: level of all limits.

    Raises:
        StatisticsError: scores that are not usable.
    """
    at = [j for j, name in enumerate(test.models) if name in rules]
    choices = [choose_cutoff(chooser.y_true, chooser.scores[:, j], rules[test.models[j]]) for j in at]
    called = _called(test.scores[:, at], [choice.cutoff for choice in choices])
    robust = {m: gee(test.y_true, called, measure=m, clusters=test.patients, confidence=confidence) for m in Measure}
    drawn = _bootstrap(test, called, plan, confidence)
    points = []
    for column, (j, choice) in enumerate(zip(at, choices, strict=True)):
        each = tuple(confusion(test.y_true, test.scores[:, j], cutoff) for cutoff in choice.maximisers)
        counts = each[0] if each else Counts(0, 0, 0, 0)
        fractions = {
            m: _fraction(
                m,
                counts,
                robust=(robust[m].low[column], robust[m].high[column]),
                drawn=(drawn[m].low[column], drawn[m].high[column]),
                confidence=confidence,
                refused=choice.reason,
            )
            for m in Measure
        }
        points.append(
            OperatingPoint(
                model=test.models[j],
                rule=str(choice.rule),
                chosen_on=chosen_on,
                cutoff=choice.cutoff,
                choice=choice,
                counts=counts,
                maximiser_counts=each,
                fractions=fractions,
                reason=choice.reason,
            )
        )
    return tuple(points)


def compare_fractions(
    test: ScoreTable, points: Sequence[OperatingPoint], *, cluster: str, confidence: float = 0.95
) -> OverallTests:
    """Compare the five fractions of models at their cut-offs, overall and by pairs.

    Args:
        test: the set that is judged.
        points: one for each model, with cut-offs from the same set.
        cluster: ``image`` or ``patient``.
        confidence: level of the limits of differences.
    """
    names = tuple(point.model for point in points)
    lacking = [point.model for point in points if point.reason]
    if lacking:
        reason = f"no cut-off for {', '.join(lacking)}: {next(p.reason for p in points if p.reason)}"
        return OverallTests(points[0].chosen_on, cluster, {m: undefined_gee(m, names, reason) for m in Measure})
    at = [test.models.index(name) for name in names]
    called = _called(test.scores[:, at], [point.cutoff for point in points])
    clusters = test.patients if cluster == "patient" else None
    measures = {
        m: gee(test.y_true, called, measure=m, clusters=clusters, names=names, confidence=confidence) for m in Measure
    }
    return OverallTests(points[0].chosen_on, cluster, measures)


def _called(scores: FloatArray, cutoffs: Sequence[float]) -> BoolArray:
    return decisions(scores, [np.inf if np.isnan(cutoff) else cutoff for cutoff in cutoffs])


def _bootstrap(
    test: ScoreTable, called: BoolArray, plan: Resampling, confidence: float
) -> dict[Measure, BootstrapInterval]:
    entries = {m: measure_rows(m, test.y_true == 1, called) for m in Measure}
    return {
        m: bootstrap_fractions(test.y_true, enters, hits, plan, confidence=confidence)
        for m, (enters, hits) in entries.items()
    }


def _fraction(
    measure: Measure,
    counts: Counts,
    *,
    robust: tuple[float, float],
    drawn: tuple[float, float],
    confidence: float,
    refused: str = "",
) -> Fraction:
    successes, n = counts.fraction(measure)
    plain = wald(successes, n, confidence=confidence)
    printed = paper_limits(successes, n, confidence=confidence)

    def known(value: Proportion) -> Proportion:
        return replace(value, reason=refused) if refused else value

    def limits(pair: tuple[float, float], method: str, why: str) -> Proportion:
        low, high = (float(value) for value in pair)
        reason = refused or plain.reason or ("" if np.isfinite(low) else why)
        if reason:
            low = high = float("nan")
        return Proportion(plain.estimate, low, high, successes, n, method, reason)

    return Fraction(
        measure=measure,
        successes=successes,
        n=n,
        estimate=plain.estimate,
        paper=replace(printed, reason=refused) if refused else printed,
        wald=known(plain),
        wilson=known(wilson(successes, n, confidence=confidence)),
        clopper_pearson=known(clopper_pearson(successes, n, confidence=confidence)),
        robust=limits(robust, "robust_wald", "the variance between patients cannot be estimated"),
        bootstrap=limits(drawn, "patient_bootstrap", "undefined in more than half of the replicates, or one patient"),
    )
