"""The frozen cut-off and what it means, against numbers worked out by hand and the study's own statistics."""

import numpy as np
import pandas as pd
import pytest

from microcalc.errors import StatisticsError
from microcalc.predictions import ScoreTable
from microcalc.protocol import ENSEMBLE, EvaluationSettings
from microcalc.reader.meaning import Judgement
from microcalc.stats import RecalibrationMethod, fit_recalibration
from microcalc.stats.evaluation import EvaluationPlan, evaluate_scores

SETTINGS = EvaluationSettings(bootstrap_replicates=200, seed=7)


def table(truth: list[int], scores: list[float], *, per_patient: int = 1) -> ScoreTable:
    count = len(truth)
    images = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(count)],
            "patient_id": [f"p{i // per_patient}" for i in range(count)],
            "lesion_id": "",
            "split": "test",
        }
    )
    return ScoreTable(("resnet101", ENSEMBLE), images, np.array(truth), np.column_stack([np.zeros(count), scores]))


VALIDATION = table([0, 0, 0, 1, 0, 1, 1, 1], [0.05, 0.1, 0.3, 0.35, 0.5, 0.6, 0.7, 0.8])
# At the cut-off 0.3: of 10 malignant 8 above, of 20 benign 5 above.
TEST = table([1] * 10 + [0] * 20, [0.9] * 8 + [0.2] * 2 + [0.8] * 5 + [0.1] * 15, per_patient=2)


@pytest.fixture(scope="module")
def judged() -> Judgement:
    return Judgement(VALIDATION, TEST, model=ENSEMBLE, settings=SETTINGS)


def test_the_cutoff_is_youdens_on_validation_and_the_smallest_of_several(judged):
    # sensitivity + specificity - 1: 0.75 above 0.3 (4/4, 3/4) and above 0.5 (3/4, 4/4)
    assert judged.cutoff == 0.3
    assert judged.chosen_on == "validation"


def test_sensitivity_specificity_and_bayes_are_those_worked_out_by_hand(judged):
    meaning = judged.meaning(0.1)
    assert (meaning.images, meaning.patients, meaning.confidence) == (30, 15, 0.95)
    assert meaning.sensitivity.value == 8 / 10
    assert meaning.specificity.value == 15 / 20
    # PPV = 0.8 * 0.1 / (0.8 * 0.1 + 0.25 * 0.9); NPV = 0.75 * 0.9 / (0.75 * 0.9 + 0.2 * 0.1)
    assert meaning.ppv.value == pytest.approx(0.08 / 0.305, abs=1e-12)
    assert meaning.npv.value == pytest.approx(0.675 / 0.695, abs=1e-12)


def test_without_a_prevalence_it_is_the_test_sets_and_ppv_the_plain_fraction(judged):
    assert judged.prevalence == 10 / 30
    assert judged.meaning(judged.prevalence).ppv.value == pytest.approx(8 / 13, abs=1e-12)


def test_limits_are_those_of_the_studys_own_tables(judged):
    evaluation = evaluate_scores(TEST, VALIDATION, plan=EvaluationPlan(settings=SETTINGS, prevalences=(0.2,)))
    wanted = (ENSEMBLE, "validation", "youden")
    point = next(p for p in evaluation.points if (p.point.model, p.point.chosen_on, p.point.rule) == wanted)
    meaning = judged.meaning(0.2)
    fractions = {str(measure): fraction.bootstrap for measure, fraction in point.point.fractions.items()}
    for name in ("sensitivity", "specificity"):
        mine, theirs = getattr(meaning, name), fractions[name]
        assert mine.method == "patient_bootstrap"
        assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    for mine, theirs in zip((meaning.ppv, meaning.npv), point.consequences.predictive, strict=True):
        assert (mine.value, mine.low, mine.high) == (theirs.estimate, theirs.low_patient, theirs.high_patient)


def test_at_a_sensitivity_of_one_limits_are_wilsons_and_undefined_ones_stay_so():
    perfect = table([1] * 6 + [0] * 6, [0.9] * 6 + [0.1] * 6)
    meaning = Judgement(VALIDATION, perfect, model=ENSEMBLE, settings=SETTINGS).meaning(0.5)
    assert (meaning.sensitivity.value, meaning.sensitivity.high, meaning.sensitivity.method) == (1, 1, "wilson")
    assert meaning.sensitivity.low == pytest.approx(6 / (6 + 1.959964**2), abs=1e-6)
    assert np.isnan([meaning.ppv.low, meaning.ppv.high]).all()
    assert meaning.as_record()["ppv"] == {"value": 1.0, "low": None, "high": None, "method": "logit"}


def test_platts_line_is_learnt_on_validation_alone(judged):
    line = fit_recalibration(VALIDATION.y_true, VALIDATION.scores[:, 1], RecalibrationMethod.PLATT)
    odds = line.intercept + line.slope * np.log(0.4 / 0.6)
    assert judged.calibrated(0.4) == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-12)
    other_test = table([1, 0], [0.1, 0.9])
    assert Judgement(VALIDATION, other_test, model=ENSEMBLE, settings=SETTINGS).calibrated(0.4) == judged.calibrated(
        0.4
    )


def test_where_no_line_can_be_learnt_nothing_is_calibrated():
    separated = table([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    judged = Judgement(separated, TEST, model=ENSEMBLE, settings=SETTINGS)
    assert judged.calibrated(0.5) is None
    assert judged.recalibration.reason


def test_the_range_ever_seen_is_that_of_validation_and_test(judged):
    assert judged.seen == (0.05, 0.9)


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, float("nan")])
def test_a_prevalence_must_lie_between_0_and_1(judged, prevalence):
    with pytest.raises(StatisticsError, match="between 0 and 1"):
        judged.meaning(prevalence)
