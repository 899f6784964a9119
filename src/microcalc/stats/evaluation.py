"""Everything that is said about one run: Table 1 and all that stands around it, computed once, as one object.

Settings go in, a result comes out; `report.sections` prints and draws it. Each part is computed by a module of this
folder; here they are only called in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from microcalc.errors import StatisticsError
from microcalc.predictions import ScoreTable
from microcalc.protocol import ENSEMBLE, EvaluationSettings
from microcalc.stats.auc import DeLong
from microcalc.stats.bootstrap import RocBand, roc_band
from microcalc.stats.calibration import Bins, Calibration, calibration, undefined_calibration, why_no_probability
from microcalc.stats.comparison import AucDifference, auc_pairs
from microcalc.stats.consequences import Consequences, consequences
from microcalc.stats.cutoffs import CutoffRule, RuleKind
from microcalc.stats.decision_curve import DecisionCurve, decision_curve
from microcalc.stats.gee import OVERALL
from microcalc.stats.inputs import FloatArray
from microcalc.stats.judged import GIVEN, OperatingPoint, operating_points
from microcalc.stats.levels import Aggregation, Level, aggregate, units_with_both_labels, why_no_level
from microcalc.stats.multiplicity import holm
from microcalc.stats.noninferiority import MEAN_OF_READERS, NonInferiority, non_inferiority
from microcalc.stats.recalibration import Recalibration, RecalibrationMethod, fit_recalibration
from microcalc.stats.replicates import Resampling, resampling
from microcalc.stats.roc import Axis, PartialAuc, PrecisionRecall, RocCurve, partial_auc, precision_recall, roc_curve
from microcalc.stats.subgroups import Subgroups, subgroups
from microcalc.stats.summary import Table1, patient_plan, table1
from microcalc.vocabulary import Split

__all__ = [
    "AucPairs",
    "CalibrationRow",
    "Evaluation",
    "EvaluationPlan",
    "JudgedPoint",
    "LevelResult",
    "evaluate_scores",
]

BEFORE = "none"
"""Stands for scores as they came, among the ways of recalibration."""


@dataclass(frozen=True)
class EvaluationPlan:
    """What is asked.

    Attributes:
        settings: confidence, bootstrap replicates, seed.
        ensemble: the model that is made of the others.
        rules: cut-offs beside Youden's.
        given: cut-offs that are brought along, by model.
        prevalences: where PPV and NPV are carried.
        partial: specificities, and sensitivities, between which partial areas are taken.
        bins: of the reliability curve.
        levels: beside the image.
        aggregation: how the scores of a unit's images become one.
        subgroups: columns of the images' facts.
        readers: which columns are human readers.
        margin: of non-inferiority, in AUC.
        ordinal: models whose scores are categories in order; of several images the highest counts, never a mean.
    """

    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    ensemble: str = ENSEMBLE
    rules: tuple[CutoffRule, ...] = (
        CutoffRule(RuleKind.SENSITIVITY, 0.95),
        CutoffRule(RuleKind.SPECIFICITY, 0.90),
    )
    given: Mapping[str, float] = field(default_factory=dict)
    prevalences: tuple[float, ...] = (0.1, 0.2, 0.3)
    partial: tuple[float, float] = (0.8, 1.0)
    bins: Bins = field(default_factory=Bins)
    levels: tuple[Level, ...] = (Level.LESION, Level.BREAST, Level.PATIENT)
    aggregation: Aggregation = Aggregation.MEAN
    subgroups: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    margin: float = 0.05
    ordinal: tuple[str, ...] = ()


@dataclass(frozen=True)
class AucPairs:
    """All pairs of models, images as independent and patient-clustered, with p values corrected by Holm beside."""

    plain: tuple[AucDifference, ...]
    clustered: tuple[AucDifference, ...]
    p_holm: FloatArray
    p_holm_clustered: FloatArray


@dataclass(frozen=True)
class JudgedPoint:
    """An operating point and what it would have done."""

    point: OperatingPoint
    consequences: Consequences


@dataclass(frozen=True)
class LevelResult:
    """Table 1 of units instead of images; none where the table lacks what the level needs.

    Attributes:
        level, aggregation: what a unit is, and how its images' scores became one.
        table: of the units; None where ``reason`` says why.
        mixed: units with malignant and benign images; they count as malignant.
        reason: why there is no table.
        ordinal: models whose highest category counts, whatever the aggregation.
        units: the scores of the units; None where there is no table.
    """

    level: Level
    aggregation: Aggregation
    table: Table1 | None
    mixed: int = 0
    reason: str = ""
    ordinal: tuple[str, ...] = ()
    units: ScoreTable | None = None


@dataclass(frozen=True)
class CalibrationRow:
    """One model's calibration on the test set, before or after a recalibration learnt on validation.

    Attributes:
        model: name.
        method: ``none`` or the way of recalibration.
        learnt: what was learnt, or the reason why nothing could be; None for ``none``.
        result: the calibration on the test set.
    """

    model: str
    method: str
    learnt: Recalibration | None
    result: Calibration


@dataclass(frozen=True)
class Evaluation:
    """Everything about one run.

    Attributes:
        plan: what was asked.
        test, validation: the scores.
        table: Table 1 by image.
        pairs: differences of areas.
        levels: Table 1 of lesions, breasts, patients.
        points: every operating point with its consequences, Table 1's first.
        refused: operating points beside Table 1's that could not be chosen, with the reason.
        curves: ROC curve of each model.
        bands: of each model, by ``image`` and by ``patient``.
        partial: partial areas of each model, along specificity and sensitivity.
        precision: precision-recall curve of each model.
        calibration: every model, before and after.
        decision: decision curve of each model.
        subgroups: one entry per variable.
        readers, readers_clustered: models against readers, images as independent and patient-clustered.
        without_frozen: why there are no frozen cut-offs and no recalibration; empty where there are.
    """

    plan: EvaluationPlan
    test: ScoreTable
    validation: ScoreTable | None
    table: Table1
    pairs: AucPairs
    levels: tuple[LevelResult, ...]
    points: tuple[JudgedPoint, ...]
    refused: tuple[OperatingPoint, ...]
    curves: Mapping[str, RocCurve]
    bands: Mapping[str, Mapping[str, RocBand]]
    partial: Mapping[str, tuple[PartialAuc, ...]]
    precision: Mapping[str, PrecisionRecall]
    calibration: tuple[CalibrationRow, ...]
    decision: Mapping[str, DecisionCurve]
    subgroups: tuple[Subgroups, ...]
    readers: tuple[NonInferiority, ...]
    readers_clustered: tuple[NonInferiority, ...]

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.table.run

    @property
    def without_frozen(self) -> str:
        """Why nothing could be chosen or learnt before the test set; empty where it could."""
        return "" if self.validation is not None else "the table has no validation set"


def evaluate_scores(
    test: ScoreTable, validation: ScoreTable | None = None, *, run: str = "", plan: EvaluationPlan | None = None
) -> Evaluation:
    """Compute everything about one run.

    Args:
        test: scores of the set that is judged; ``images`` may have further columns for levels and subgroups.
        validation: scores of the set that chooses cut-offs and learns recalibrations.
        run: its name.
        plan: what is asked; default everything that needs no further facts.

    Raises:
        StatisticsError: scores that are not usable, subgroups or readers that the table does not have.
    """
    asked = plan or EvaluationPlan()
    _refuse_unknown(test, asked)
    settings = asked.settings
    patients = patient_plan(test, settings)
    images = resampling(test.y_true, replicates=settings.bootstrap_replicates, seed=settings.seed)
    table = table1(test, validation, run=run, settings=settings, ensemble=asked.ensemble, plan=patients)
    others = _other_points(test, validation, patients, asked)
    curves = {
        name: _curves(test, score, (images, patients), asked)
        for name, score in zip(test.models, test.scores.T, strict=True)
    }
    return Evaluation(
        plan=asked,
        test=test,
        validation=validation,
        table=table,
        pairs=_pairs(table),
        levels=tuple(_level(test, validation, run, level, asked) for level in asked.levels),
        points=_judged([*table.points, *others], test, patients, asked),
        refused=tuple(point for point in others if point.reason),
        curves={name: c.roc for name, c in curves.items()},
        bands={name: c.bands for name, c in curves.items()},
        partial={name: c.partial for name, c in curves.items()},
        precision={name: c.precision for name, c in curves.items()},
        calibration=_calibration(test, validation, patients, asked),
        decision={name: c.decision for name, c in curves.items()},
        subgroups=tuple(
            subgroups(
                test,
                test.images[name].to_numpy(dtype=object),
                variable=name,
                cutoffs=_usual_cutoffs(table),
                confidence=settings.confidence,
            )
            for name in asked.subgroups
        ),
        readers=_readers(table.auc, test.models, asked),
        readers_clustered=_readers(table.auc_clustered, test.models, asked),
    )


def _usual_cutoffs(table: Table1) -> dict[str, float]:
    return {point.model: point.cutoff for point in table.points_of(table.usual_choice)}


@dataclass(frozen=True)
class _Curves:
    """All curves of one model."""

    roc: RocCurve
    bands: Mapping[str, RocBand]
    partial: tuple[PartialAuc, ...]
    precision: PrecisionRecall
    decision: DecisionCurve


def _curves(
    test: ScoreTable, score: FloatArray, plans: tuple[Resampling, Resampling], asked: EvaluationPlan
) -> _Curves:
    y, confidence, patients = test.y_true, asked.settings.confidence, plans[1]
    return _Curves(
        roc=roc_curve(y, score),
        bands={plan.by: roc_band(y, score, plan=plan, confidence=confidence) for plan in plans},
        partial=tuple(
            partial_auc(y, score, axis=axis, part=asked.partial, plan=patients, confidence=confidence) for axis in Axis
        ),
        precision=precision_recall(y, score, plan=patients, confidence=confidence),
        decision=decision_curve(y, score, plan=patients, confidence=confidence),
    )


def _refuse_unknown(test: ScoreTable, plan: EvaluationPlan) -> None:
    meant = [name for name in (OVERALL, *((MEAN_OF_READERS,) if plan.readers else ())) if name in test.models]
    if meant:
        raise StatisticsError(
            f"no model may be called {' or '.join(map(repr, meant))}: in the tables that is the name of a test or of a "
            "mean. Call it otherwise in the scores"
        )
    groups = [name for name in plan.subgroups if name not in test.images]
    if groups:
        raise StatisticsError(f"subgroups need these columns beside the scores: {groups}; {list(test.images)} came")
    unknown = [name for name in plan.given if name not in test.models]
    if unknown:
        raise StatisticsError(f"cut-offs were given for {unknown}; the models are {list(test.models)}")


def _pairs(table: Table1) -> AucPairs:
    plain, clustered = auc_pairs(table.auc, table.models), auc_pairs(table.auc_clustered, table.models)
    return AucPairs(plain, clustered, holm([d.p for d in plain]), holm([d.p for d in clustered]))


def _level(
    test: ScoreTable, validation: ScoreTable | None, run: str, level: Level, plan: EvaluationPlan
) -> LevelResult:
    how = plan.aggregation
    reason = why_no_level(test, level)
    if reason:
        return LevelResult(level, how, None, reason=reason)
    units = aggregate(test, level, how, ordinal=plan.ordinal)
    if units.y_true.size == test.y_true.size:
        return LevelResult(level, how, None, reason=f"every {level} has one image, so it is Table 1 again")
    usable = validation is not None and not why_no_level(validation, level)
    chooser = aggregate(validation, level, how, ordinal=plan.ordinal) if validation is not None and usable else None
    table = table1(units, chooser, run=run, settings=plan.settings, ensemble=plan.ensemble)
    table = replace(table, unit=str(level))
    ordinal = tuple(name for name in test.models if name in plan.ordinal)
    return LevelResult(level, how, table, mixed=units_with_both_labels(test, level), ordinal=ordinal, units=units)


def _other_points(
    test: ScoreTable, validation: ScoreTable | None, patients: Resampling, plan: EvaluationPlan
) -> list[OperatingPoint]:
    """Points of the other rules than Table 1's."""
    confidence = plan.settings.confidence
    points: list[OperatingPoint] = []
    choosers = {Split.TEST: test} | ({Split.VALIDATION: validation} if validation is not None else {})
    for rule in plan.rules:
        for split, chooser in choosers.items():
            rules = dict.fromkeys(test.models, rule)
            points += operating_points(test, chooser, rules, chosen_on=split, plan=patients, confidence=confidence)
    given = {name: CutoffRule(RuleKind.GIVEN, value) for name, value in plan.given.items()}
    if given:
        points += operating_points(test, test, given, chosen_on=GIVEN, plan=patients, confidence=confidence)
    return points


def _judged(
    points: Sequence[OperatingPoint], test: ScoreTable, patients: Resampling, plan: EvaluationPlan
) -> tuple[JudgedPoint, ...]:
    """What each point that there is would have done."""
    return tuple(
        JudgedPoint(
            point,
            consequences(
                test.y_true,
                test.scores[:, test.models.index(point.model)],
                point.cutoff,
                plan=patients,
                prevalences=plan.prevalences,
                confidence=plan.settings.confidence,
            ),
        )
        for point in points
        if not point.reason
    )


def _calibration(
    test: ScoreTable, validation: ScoreTable | None, patients: Resampling, plan: EvaluationPlan
) -> tuple[CalibrationRow, ...]:
    rows = []
    for name, score in zip(test.models, test.scores.T, strict=True):
        ways: list[Recalibration | None] = [None]
        if validation is not None and not why_no_probability(score):
            chooser = validation.scores[:, validation.models.index(name)]
            ways += [fit_recalibration(validation.y_true, chooser, method) for method in RecalibrationMethod]
        rows += [_calibration_row(test, name, learnt, patients, plan) for learnt in ways]
    return tuple(rows)


def _calibration_row(
    test: ScoreTable, name: str, learnt: Recalibration | None, patients: Resampling, plan: EvaluationPlan
) -> CalibrationRow:
    """Calibration of one model: as its scores came, or after what was learnt, if anything could be."""
    if learnt is not None and learnt.reason:
        nothing = undefined_calibration(plan.bins.binning, "patient", learnt.reason)
        return CalibrationRow(name, learnt.method, learnt, nothing)
    score = test.scores[:, test.models.index(name)]
    result = calibration(
        test.y_true,
        score if learnt is None else learnt.apply(score),
        clusters=test.patients,
        bins=plan.bins,
        plan=patients,
        confidence=plan.settings.confidence,
    )
    return CalibrationRow(name, BEFORE if learnt is None else learnt.method, learnt, result)


def _readers(result: DeLong, models: tuple[str, ...], plan: EvaluationPlan) -> tuple[NonInferiority, ...]:
    if not plan.readers:
        return ()
    return non_inferiority(result, models, readers=plan.readers, margin=plan.margin)
