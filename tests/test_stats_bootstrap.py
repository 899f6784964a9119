import numpy as np
import pytest

from microcalc.errors import StatisticsError
from microcalc.stats import bootstrap_auc, delong, resampling, roc_band, roc_curve
from microcalc.stats.bootstrap import bootstrap_fractions
from microcalc.stats.decision_curve import decision_curve
from microcalc.stats.replicates import Resampling
from stats_reference import data_a, expected, made_up


@pytest.mark.parametrize("model", ["resnet101", "ensemble"])
def test_limits_of_the_area_and_the_band_agree_with_proc(model):
    reference = expected()["bootstrap"][model]
    score = data_a().scores[:, data_a().models.index(model)]
    plan = resampling(data_a().y_true, replicates=10_000)
    band = roc_band(data_a().y_true, score, grid=1 - np.array(reference["grid"]), plan=plan)
    assert [band.auc_low, band.auc_high] == pytest.approx([reference["auc_lo"], reference["auc_hi"]], abs=0.004)
    np.testing.assert_allclose(band.low, reference["se_lo"], atol=0.015)
    np.testing.assert_allclose(band.high, reference["se_hi"], atol=0.015)


def test_a_thousand_replicates_come_close_too():
    reference = expected()["bootstrap"]["resnet101"]
    drawn = bootstrap_auc(data_a().y_true, data_a().scores)
    assert [drawn.low[0], drawn.high[0]] == pytest.approx([reference["auc_lo"], reference["auc_hi"]], abs=0.004)
    np.testing.assert_allclose(drawn.estimate, delong(data_a().y_true, data_a().scores).auc, rtol=1e-14)


@pytest.mark.parametrize("by_patient", [False, True])
def test_each_replicate_is_the_statistic_of_the_repeated_images(by_patient):
    table = made_up(1)
    plan = resampling(table.y_true, clusters=table.patients if by_patient else None, replicates=40, seed=3)
    areas = []
    for row in np.concatenate(list(plan.weights())):
        areas.append(delong(np.repeat(table.y_true, row), np.repeat(table.scores[:, 0], row)).auc[0])
    clusters = table.patients if by_patient else None
    drawn = bootstrap_auc(table.y_true, table.scores[:, 0], clusters=clusters, replicates=40, seed=3)
    assert [drawn.low[0], drawn.high[0]] == pytest.approx(np.quantile(areas, [0.025, 0.975]), rel=1e-12)


def test_the_band_is_made_of_the_replicates_own_curves():
    table = made_up(2)
    plan, grid = resampling(table.y_true, replicates=30), np.array([0.0, 0.13, 0.5, 1.0])
    curves = []
    for row in np.concatenate(list(plan.weights())):
        curve = roc_curve(np.repeat(table.y_true, row), np.repeat(table.scores[:, 0], row))
        curves.append(np.interp(grid, curve.false_positive_rate, curve.sensitivity))
    band = roc_band(table.y_true, table.scores[:, 0], plan=plan, grid=grid)
    np.testing.assert_allclose([band.low, band.high], np.quantile(curves, [0.025, 0.975], axis=0), rtol=1e-12)


def test_images_are_drawn_within_their_class():
    table = made_up(3)
    (weights,) = resampling(table.y_true, replicates=20).weights()
    assert set(weights[:, table.y_true == 1].sum(axis=1)) == {table.y_true.sum()}
    assert set(weights.sum(axis=1)) == {table.y_true.size}


def test_patients_are_drawn_with_all_their_images():
    table = made_up(3)
    (weights,) = resampling(table.y_true, clusters=table.patients, replicates=20).weights()
    for patient in set(table.patients):
        assert (np.ptp(weights[:, table.patients == patient], axis=1) == 0).all()
    first = [np.flatnonzero(table.patients == p)[0] for p in dict.fromkeys(table.patients)]
    assert set(weights[:, first].sum(axis=1)) == {len(first)}


def test_the_memory_does_not_change_the_draws(monkeypatch):
    plan = resampling(made_up(0).y_true, replicates=25, seed=5)
    whole = np.concatenate(list(plan.weights()))
    monkeypatch.setattr("microcalc.stats.replicates._CHUNK", 7 * plan.images)
    pieces = list(plan.weights())
    assert len(pieces) == 4
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_the_same_seed_gives_the_same_limits():
    table = made_up(4)
    a, b, c = (bootstrap_auc(table.y_true, table.scores, replicates=100, seed=s).low for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_fractions_are_weighted_ratios():
    y = np.array([1, 1, 1, 0])
    plan = resampling(y, replicates=500)
    enters, hits = np.array([[1], [1], [1], [0]]), np.array([[1], [1], [0], [1]])
    drawn = bootstrap_fractions(y, enters, hits, plan)
    ratios = [row[:2].sum() / row[:3].sum() for row in np.concatenate(list(plan.weights()))]
    assert drawn.estimate[0] == pytest.approx(2 / 3)
    assert [drawn.low[0], drawn.high[0]] == pytest.approx(np.quantile(ratios, [0.025, 0.975]))


def test_a_fraction_of_one_has_no_limits():
    y = np.array([1, 1, 0])
    drawn = bootstrap_fractions(y, np.ones((3, 1)), np.ones((3, 1)), resampling(y, replicates=50))
    assert drawn.estimate[0] == 1
    assert np.isnan(drawn.low[0])


def test_one_class_only_has_no_band_and_no_area():
    band, drawn = roc_band([1, 1, 1], [1, 2, 3]), bootstrap_auc([1, 1, 1], [1, 2, 3], replicates=10)
    assert np.isnan(band.low).all()
    assert band.reason == "an ROC curve needs both classes; 3 malignant and 0 benign images came"
    assert np.isnan(drawn.estimate[0])
    assert drawn.reason == "undefined in the data or in more than half of the replicates"


def test_replicates_without_a_class_are_left_out_and_counted():
    band = roc_band([1, 0, 1], [3, 1, 2], plan=resampling([1, 0, 1], clusters=list("aab"), replicates=200))
    assert 0 < band.used < 200


def test_curve_runs_from_corner_to_corner_through_ties():
    curve = roc_curve([0, 1, 0, 1], [1.0, 1.0, 0.0, 2.0])
    assert list(curve.false_positive_rate) == [0, 0, 0.5, 1]
    assert list(curve.sensitivity) == [0, 0.5, 1, 1]
    assert list(curve.cutoffs) == [2, 1, 0, -np.inf]


def test_unusable_plans_are_refused():
    with pytest.raises(StatisticsError, match="needs at least 2 replicates, better 1000; 1 came"):
        resampling([0, 1], replicates=1)
    with pytest.raises(StatisticsError, match="the plan was made for 2 images; 3 came"):
        roc_band([0, 1, 1], [1, 2, 3], plan=resampling([0, 1]))
    assert isinstance(resampling([0, 1]), Resampling)


def test_images_of_one_patient_say_nothing_about_others():
    y, score = np.array([1, 1, 0, 0]), np.array([0.9, 0.2, 0.4, 0.1])
    plan = resampling(y, clusters=list("aaaa"), replicates=50)
    drawn, band = bootstrap_auc(y, score, clusters=list("aaaa"), replicates=50), roc_band(y, score, plan=plan)
    assert np.isnan([drawn.low[0], drawn.high[0], band.auc_low]).all()
    assert np.isnan(band.low).all()
    assert drawn.reason == band.reason == "a bootstrap needs at least 2 patients; there is 1"
    curve = decision_curve(y, score, plan=plan, thresholds=[0.3])
    assert np.isnan([curve.low[0], curve.treat_all_high[0]]).all()
    assert np.isfinite(curve.net_benefit).all()


def test_an_area_that_every_replicate_repeats_has_no_limits():
    drawn = bootstrap_auc([1, 1, 0, 0], [3, 4, 1, 2], replicates=50)
    assert drawn.estimate[0] == 1
    assert np.isnan([drawn.low[0], drawn.high[0]]).all()
    assert drawn.reason == "every replicate repeats the estimate"


def test_the_share_of_malignant_images_varies_with_the_patients():
    plan = resampling([1, 1, 0, 0, 0], clusters=list("abcde"), replicates=200)
    (weights,) = plan.weights()
    assert set(weights.sum(axis=1)) == {5}
    assert len(set(weights[:, :2].sum(axis=1))) > 3
