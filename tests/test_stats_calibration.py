import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from microcalc.errors import StatisticsError
from microcalc.stats import resampling
from microcalc.stats.calibration import Binning, Bins, calibration
from microcalc.stats.inputs import checked_clusters
from microcalc.stats.logistic import logits
from microcalc.stats.recalibration import RecalibrationMethod, fit_recalibration
from stats_reference import data_a, made_up

A = data_a()
Y, P = A.y_true, A.scores[:, 0]


def test_slope_and_intercept_agree_with_statsmodels():
    joint = sm.GLM(Y, sm.add_constant(logits(P)), family=sm.families.Binomial()).fit(tol=1e-12)
    large = sm.GLM(Y, np.ones(Y.size), offset=logits(P), family=sm.families.Binomial()).fit(tol=1e-12)
    result = calibration(Y, P)
    assert result.slope.estimate == pytest.approx(joint.params[1], rel=1e-7)
    assert result.intercept.estimate == pytest.approx(large.params[0], rel=1e-7)


def test_limits_are_the_sandwichs_by_patient():
    codes = checked_clusters(A.patients, images=Y.size)
    fit = sm.GEE(
        Y,
        sm.add_constant(logits(P)),
        groups=codes,
        family=sm.families.Binomial(),
        cov_struct=sm.cov_struct.Independence(),
    ).fit(ctol=1e-12)
    slope = calibration(Y, P, clusters=A.patients).slope
    assert (slope.high - slope.low) / 2 == pytest.approx(1.959963984540054 * fit.bse[1], rel=1e-6)


def test_probabilities_that_are_right_have_slope_one_and_intercept_zero():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.02, 0.98, 40_000)
    result = calibration(rng.random(p.size) < p, p)
    assert result.slope.estimate == pytest.approx(1, abs=0.03)
    assert result.intercept.estimate == pytest.approx(0, abs=0.05)
    assert result.expected_error < 0.01


@pytest.mark.parametrize("binning", Binning)
def test_the_parts_of_briers_score_add_up(binning):
    brier = calibration(Y, P, bins=Bins(7, binning)).brier
    assert brier.score == pytest.approx(np.mean((P - Y) ** 2), rel=1e-14)
    assert brier.reliability - brier.resolution + brier.uncertainty + brier.within == pytest.approx(brier.score)


def test_within_bins_of_one_value_nothing_remains():
    p = np.repeat([0.2, 0.5, 0.9], 4)
    brier = calibration([0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0], p, bins=Bins(10, Binning.WIDTH)).brier
    assert brier.within == pytest.approx(0, abs=1e-15)


def test_expected_error_by_hand():
    result = calibration([0, 1, 1, 1], [0.1, 0.3, 0.6, 0.8], bins=Bins(2, Binning.WIDTH))
    assert result.expected_error == pytest.approx(0.5 * abs(0.2 - 0.5) + 0.5 * abs(0.7 - 1.0))


def test_equal_probabilities_stay_in_one_bin():
    result = calibration([0, 1] * 10, [0.3] * 15 + [0.6] * 5)
    assert sum(b.observed.n for b in result.bins) == 20
    assert [b.low == b.high for b in result.bins] == [True] * len(result.bins)


def test_bins_hold_as_many_images_each():
    assert {b.observed.n for b in calibration(Y, P).bins} == {26}


def test_limits_of_briers_score_come_from_patients():
    plan = resampling(Y, clusters=A.patients, replicates=200)
    brier = calibration(Y, P, plan=plan).brier
    assert brier.low < brier.score < brier.high


def test_a_perfect_probability_has_no_slope():
    result = calibration([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8])
    assert np.isnan(result.slope.estimate)
    assert result.slope.reason.startswith("the classes are separated")


def test_a_constant_probability_has_no_slope_but_an_intercept():
    result = calibration([0, 1, 1, 1], [0.5] * 4)
    assert result.intercept.estimate == pytest.approx(np.log(3))
    assert np.isnan(result.slope.estimate)


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        ([-1, 2, 3], "the scores are not probabilities: they leave the range from 0 to 1"),
        ([0, 1, 1], "the scores are calls, 0 or 1, not probabilities"),
    ],
)
def test_other_scores_are_answered_with_a_reason(score, reason):
    result = calibration([0, 1, 1], score)
    assert result.reason == reason
    assert np.isnan(result.brier.score)


def test_zero_and_one_are_kept_apart_from_infinity():
    result = calibration([0, 1, 0, 1, 1, 0], [0, 1, 0.4, 0.6, 0.3, 0.7])
    assert result.clipped == 2
    assert np.isnan([result.slope.estimate, result.intercept.estimate]).all()
    assert result.slope.reason == "2 probabilities are 0 or 1 and have no logit"
    assert np.isfinite(result.brier.score)


def test_one_bin_is_refused():
    with pytest.raises(StatisticsError, match="needs at least 2 bins; 1 came"):
        Bins(1)


def test_platt_is_a_logistic_regression_on_the_log_odds():
    fit = sm.GLM(Y, sm.add_constant(logits(P)), family=sm.families.Binomial()).fit(tol=1e-12)
    learnt = fit_recalibration(Y, P, RecalibrationMethod.PLATT)
    np.testing.assert_allclose(learnt.apply(P), fit.predict(), rtol=1e-7)


def test_temperature_is_the_likeliest():
    def loss(slope):
        eta = slope * logits(P)
        return -np.sum(Y * eta - np.logaddexp(0, eta))

    best = minimize_scalar(loss, bounds=(0.01, 10), method="bounded", options={"xatol": 1e-10})
    learnt = fit_recalibration(Y, P, RecalibrationMethod.TEMPERATURE)
    assert learnt.slope == pytest.approx(best.x, rel=1e-5)
    assert learnt.intercept == 0


@pytest.mark.parametrize("seed", range(5))
def test_isotonic_agrees_with_scikit_learn(seed):
    table = made_up(seed)
    p = 1 / (1 + np.exp(-table.scores[:, 0]))
    other = np.linspace(0, 1, 101)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(p, table.y_true).predict(other)
    learnt = fit_recalibration(table.y_true, p, RecalibrationMethod.ISOTONIC)
    np.testing.assert_allclose(learnt.apply(other), theirs, rtol=1e-10, atol=1e-12)


def test_recalibration_on_its_own_set_makes_slope_one():
    learnt = fit_recalibration(Y, P, RecalibrationMethod.PLATT)
    result = calibration(Y, learnt.apply(P))
    assert result.slope.estimate == pytest.approx(1, abs=1e-8)
    assert result.intercept.estimate == pytest.approx(0, abs=1e-8)


def test_scores_are_never_turned_round():
    learnt = fit_recalibration(Y, 1 - P, RecalibrationMethod.PLATT)
    assert "wants the scores turned round" in learnt.reason
    assert np.isnan(learnt.apply(P)).all()


def test_one_class_teaches_nothing():
    learnt = fit_recalibration([1, 1], [0.2, 0.4], RecalibrationMethod.ISOTONIC)
    assert learnt.reason == "a recalibration needs both classes in the validation set"


def test_slopes_of_few_patients_have_no_limits():
    y, p = [0, 1, 0, 1, 1, 0], [0.2, 0.9, 0.4, 0.6, 0.3, 0.7]
    result = calibration(y, p, clusters=list("aabbab"), plan=resampling(y, clusters=list("aabbab"), replicates=50))
    assert np.isfinite([result.slope.estimate, result.intercept.low]).all()
    assert np.isnan([result.slope.low, result.slope.high]).all()
    assert result.slope.reason == "limits need more than 2 patients"
    alone = calibration(y, p, clusters=list("aaaaaa"), plan=resampling(y, clusters=list("aaaaaa"), replicates=50))
    assert np.isnan([alone.intercept.low, alone.brier.low]).all()
