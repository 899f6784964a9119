"""Table 1 of the paper as numbers: areas, cut-offs, the five fractions and their tests, for one run.

Each model has a cut-off chosen on the test set itself (the paper's way, optimistic) and, where a validation set is at
hand, one chosen there and frozen. Beside the paper's intervals stand those that respect small numbers (Wilson) and
patients (clustered). Nothing is printed here; `report.tables` does that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from microcalc.errors import StatisticsError
from microcalc.predictions import ScoreTable
from microcalc.protocol import ENSEMBLE, EvaluationSettings
from microcalc.stats.auc import DeLong, clustered_delong, delong
from microcalc.stats.comparison import OverallTest, auc_overall
from microcalc.stats.cutoffs import YOUDEN
from microcalc.stats.judged import OperatingPoint, OverallTests, compare_fractions, operating_points
from microcalc.stats.replicates import Resampling, resampling
from microcalc.vocabulary import Split

__all__ = ["SetFacts", "Table1", "patient_plan", "set_facts", "table1"]


@dataclass(frozen=True)
class SetFacts:
    """Who is in a set."""

    images: int
    patients: int
    malignant: int
    benign: int


@dataclass(frozen=True)
class Table1:
    """Everything that Table 1 prints, and what stands beside it.

    Attributes:
        run: name of the run.
        models: the k names, in order.
        test: who was judged.
        validation: who chose the frozen cut-offs; None without a validation set.
        confidence: level of all limits.
        replicates, seed: of the bootstrap.
        auc, auc_clustered: areas with DeLong's and with Obuchowski's covariance.
        auc_tests: overall tests of the areas by ``(models, cluster)``: models ``all`` or ``networks`` (without the
            ensemble, where there is one), cluster ``image`` or ``patient``.
        points: an operating point for each model and choice, the test set's first.
        tests: comparisons of the five measures.
        unit: what counts as one case; "image" in names and words then means this unit.
    """

    run: str
    models: tuple[str, ...]
    test: SetFacts
    validation: SetFacts | None
    confidence: float
    replicates: int
    seed: int
    auc: DeLong
    auc_clustered: DeLong
    auc_tests: Mapping[tuple[str, str], OverallTest]
    points: tuple[OperatingPoint, ...]
    tests: tuple[OverallTests, ...]
    unit: str = "image"

    @property
    def choices(self) -> tuple[Split, ...]:
        """The sets that cut-offs were chosen on."""
        return tuple(dict.fromkeys(Split(point.chosen_on) for point in self.points))

    @property
    def usual_choice(self) -> Split:
        """The set whose cut-offs stand for the run: frozen from validation, or else chosen on the test set itself."""
        return Split.VALIDATION if Split.VALIDATION in self.choices else Split.TEST

    def points_of(self, chosen_on: str) -> tuple[OperatingPoint, ...]:
        """The models' operating points with cut-offs from one set, in order of the models."""
        return tuple(point for point in self.points if point.chosen_on == chosen_on)

    def tests_of(self, chosen_on: str, cluster: str) -> OverallTests:
        """The comparisons for one choice of cut-offs and one kind of cluster."""
        return next(t for t in self.tests if t.chosen_on == chosen_on and t.cluster == cluster)


def set_facts(scores: ScoreTable) -> SetFacts:
    """Count the images, patients and classes of a set."""
    malignant = int(scores.y_true.sum())
    return SetFacts(
        images=scores.y_true.size,
        patients=int(scores.images["patient_id"].nunique()),
        malignant=malignant,
        benign=scores.y_true.size - malignant,
    )


def patient_plan(test: ScoreTable, settings: EvaluationSettings) -> Resampling:
    """Lay out the bootstrap by patient that a test set's limits come from."""
    return resampling(test.y_true, clusters=test.patients, replicates=settings.bootstrap_replicates, seed=settings.seed)


def table1(
    test: ScoreTable,
    validation: ScoreTable | None = None,
    *,
    run: str = "",
    settings: EvaluationSettings | None = None,
    ensemble: str = ENSEMBLE,
    plan: Resampling | None = None,
) -> Table1:
    """Judge every model of a run on its test set.

    Args:
        test: scores of the set that is judged.
        validation: scores of the same models on the set that chooses the frozen cut-offs.
        run: name of the run.
        settings: confidence, bootstrap replicates and seed.
        ensemble: the model that is made of the others; the area test is also given without it.
        plan: bootstrap of the test set by patient; default made from the settings.

    Raises:
        StatisticsError: the two sets have other models, or scores that are not usable.
    """
    settings = settings or EvaluationSettings()
    if validation is not None and validation.models != test.models:
        raise StatisticsError(
            "test and validation must hold the same models in the same order;"
            f" {list(test.models)} and {list(validation.models)} came"
        )
    chosen = {Split.TEST: test} | ({Split.VALIDATION: validation} if validation is not None else {})
    points: list[OperatingPoint] = []
    tests: list[OverallTests] = []
    confidence = settings.confidence
    whole = plan or patient_plan(test, settings)
    for split, chooser in chosen.items():
        found = operating_points(
            test, chooser, dict.fromkeys(test.models, YOUDEN), chosen_on=split, plan=whole, confidence=confidence
        )
        points += found
        tests += [compare_fractions(test, found, cluster=c, confidence=confidence) for c in ("image", "patient")]
    areas = delong(test.y_true, test.scores, confidence=settings.confidence)
    clustered = clustered_delong(test.y_true, test.scores, test.patients, confidence=settings.confidence)
    return Table1(
        run=run,
        models=test.models,
        test=set_facts(test),
        validation=set_facts(validation) if validation is not None else None,
        confidence=settings.confidence,
        replicates=settings.bootstrap_replicates,
        seed=settings.seed,
        auc=areas,
        auc_clustered=clustered,
        auc_tests=_area_tests({"image": areas, "patient": clustered}, test.models, ensemble),
        points=tuple(points),
        tests=tuple(tests),
    )


def _area_tests(
    areas: Mapping[str, DeLong], models: tuple[str, ...], ensemble: str
) -> dict[tuple[str, str], OverallTest]:
    out = {("all", cluster): auc_overall(result, models) for cluster, result in areas.items()}
    networks = [name for name in models if name != ensemble]
    if 2 <= len(networks) < len(models):
        out |= {("networks", c): auc_overall(result, models, among=networks) for c, result in areas.items()}
    return out
